"""A reward server in Python: vard.v1.RewardService with one reward. Take it, and put your own in the place of `score`.

    python score_server.py --port 50052

With REWARD_TOKEN set, it asks callers for that bearer token. README.md: what it needs.
"""

from __future__ import annotations

import argparse
import hmac
import logging
import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from vard.v1 import reward_pb2 as pb
from vard.v1 import reward_pb2_grpc

NAME, VERSION = "colourfulness", "1"
LARGEST_MESSAGE = 64 << 20


def score(rgb: np.ndarray, prompt: str) -> float:
    """How colourful people find an image of (H, W, 3), 0 to 255: 0 is grey, above 100 is gaudy.

    Hasler and Süsstrunk, Measuring colourfulness in natural images, 2003, equation 10. It does not look at the prompt.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    deviation = math.hypot(red_green.std(), yellow_blue.std())
    mean = math.hypot(red_green.mean(), yellow_blue.mean())
    return deviation + 0.3 * mean


class Rewards(reward_pb2_grpc.RewardServiceServicer):
    def DescribeReward(self, request: pb.DescribeRewardRequest, context: grpc.ServicerContext) -> pb.DescribeRewardResponse:
        known(request.reward, context)
        # Everything but the name may be left out: `least` and `most` of its scores, and the `batch` it likes.
        return pb.DescribeRewardResponse(name=NAME, version=VERSION, least=0)

    def Score(self, request: pb.ScoreRequest, context: grpc.ServicerContext) -> pb.ScoreResponse:
        known(request.reward, context)
        return pb.ScoreResponse(outcomes=[outcome(query) for query in request.queries])


def known(reward: str, context: grpc.ServicerContext) -> None:
    if reward not in ("", NAME):
        context.abort(grpc.StatusCode.NOT_FOUND, f"there is no reward {reward} here, only {NAME}")


def outcome(query: pb.RewardQuery) -> pb.RewardOutcome:
    """A score, or a failure that says why there is none. Never a 0 instead."""
    if len(query.rgb) != 3 * query.height * query.width or not query.rgb:
        return failed("NOT_AN_IMAGE", f"{len(query.rgb)} bytes are no RGB image of {query.height} x {query.width}")
    rgb = np.frombuffer(query.rgb, np.uint8).reshape(query.height, query.width, 3)
    try:
        return pb.RewardOutcome(score=score(rgb, query.prompt))
    except Exception as error:
        logging.exception("seed %d could not be scored", query.seed)
        return failed("THREW", f"{type(error).__name__}: {error}")


def failed(code: str, message: str, retryable: bool = False) -> pb.RewardOutcome:
    return pb.RewardOutcome(failure=pb.RewardFailure(code=code, message=message, retryable=retryable))


class Token(grpc.ServerInterceptor):
    """Lets calls pass that carry the token, and health checks."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()
        self._refuse = grpc.unary_unary_rpc_method_handler(
            lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "give the token: authorization: Bearer TOKEN")
        )

    def intercept_service(self, continuation, details):  # type: ignore[no-untyped-def]
        given = dict(details.invocation_metadata).get("authorization", "").encode()
        is_health = details.method.startswith("/grpc.health.v1.Health/")
        return continuation(details) if is_health or hmac.compare_digest(given, self._expected) else self._refuse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for other machines; set REWARD_TOKEN then (default: %(default)s)")
    parser.add_argument("--port", type=int, default=50052, help="0 for a free one (default: %(default)s)")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="with --tls-key, connections are encrypted")
    parser.add_argument("--tls-key", type=Path, metavar="PEM")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    token = os.environ.get("REWARD_TOKEN")
    server = grpc.server(
        # Calls at a time. A model on one GPU wants 1; what asks another service may have many.
        ThreadPoolExecutor(max_workers=os.cpu_count()),
        interceptors=[Token(token)] if token else [],
        options=[("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.so_reuseport", 0)],
    )
    reward_pb2_grpc.add_RewardServiceServicer_to_server(Rewards(), server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for service in ("", "vard.v1.RewardService"):
        healthy.set(service, health_pb2.HealthCheckResponse.SERVING)

    address = f"{arguments.host}:{arguments.port}"
    if arguments.tls_cert:
        pair = (arguments.tls_key.read_bytes(), arguments.tls_cert.read_bytes())
        port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port(address)
    server.start()
    print(f"{NAME} on port {port}", flush=True)

    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    stop.wait()
    # Clients go elsewhere, and calls under way come to their end.
    healthy.enter_graceful_shutdown()
    server.stop(grace=10).wait()


if __name__ == "__main__":
    main()
