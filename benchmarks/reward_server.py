"""A reward service for benchmarks: as slow and as faulty as it is told to be. Minus the kilobytes of the image as a JPEG.

    ./vard python benchmarks/reward_server.py --delay 0.25 [--fail 0.3] [--hang 0.05] [--malformed 0.01] [--log FILE]

Prints its port. Ends when its standard input does. What becomes of a call follows from the seed and how many came before.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
from PIL import Image

from vard.v1 import reward_pb2 as pb
from vard.v1 import reward_pb2_grpc

CALLS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds an image")
    parser.add_argument("--fail", type=float, default=0.0, help="share of calls that end with UNAVAILABLE")
    parser.add_argument("--hang", type=float, default=0.0, help="share of calls that hang for a minute")
    parser.add_argument("--malformed", type=float, default=0.0, help="share of calls whose answer makes no sense")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="takes a line for each image that was given a score")
    options = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(CALLS))
    reward_pb2_grpc.add_RewardServiceServicer_to_server(Rewards(options), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


class Rewards(reward_pb2_grpc.RewardServiceServicer):
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.lock = threading.Lock()

    def DescribeReward(self, request: pb.DescribeRewardRequest, context: grpc.ServicerContext) -> pb.DescribeRewardResponse:
        return pb.DescribeRewardResponse(name="slow-size", version="1", least=-1e6, most=0)

    def Score(self, request: pb.ScoreRequest, context: grpc.ServicerContext) -> pb.ScoreResponse:
        time.sleep(self.options.delay * len(request.queries))
        with self.lock:
            luck = self.random.random()
        if luck < self.options.hang:
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(60)
            context.abort(grpc.StatusCode.UNAVAILABLE, "hung")
        luck -= self.options.hang
        if luck < self.options.fail:
            context.abort(grpc.StatusCode.UNAVAILABLE, "out of order")
        luck -= self.options.fail
        if luck < self.options.malformed:
            nonsense = [pb.ScoreResponse(), pb.ScoreResponse(outcomes=[pb.RewardOutcome(score=float("nan"))] * len(request.queries))]
            return nonsense[int(luck * 1e9) % 2]
        self.log(request)
        return pb.ScoreResponse(outcomes=[pb.RewardOutcome(score=score(query)) for query in request.queries])

    def log(self, request: pb.ScoreRequest) -> None:
        if self.options.log:
            with self.lock, self.options.log.open("a") as file:
                for query in request.queries:
                    file.write(json.dumps([request.run_id, request.iteration, query.seed]) + "\n")


def score(query: pb.RewardQuery) -> float:
    file = io.BytesIO()
    Image.frombytes("RGB", (query.width, query.height), query.rgb).save(file, "JPEG", quality=95)
    return -file.tell() / 1000


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """A server in a process of its own: its ``host:port``."""
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
