"""How much of a remote reward's slowness is hidden: the example with a reward of 0.25 s an image, four calls at a time.

Four arms take turns, round after round: the model alone (with a reward that costs nothing), the reward alone (the same
images, nothing else), the run, and a loop in plain Python that samples, then scores, then trains. The run's bar is 1.10
of the larger of the first two.

    ./vard bench overlap [--rounds 3] [--iterations 8] [--delay 0.25] [--concurrency 4] [--staleness 0] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from harness import HOME, Json, beside, example, machine, metrics, of_kind, replace_section, start, table, wait
from overhead import plain
from reward_server import serving
from vard.v1 import reward_pb2 as pb
from vard.v1 import reward_pb2_grpc

SIDE = 32
"""Of the example's images, in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench overlap", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--delay", type=float, default=0.25, help="seconds an image")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--staleness", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a PyTorch operator (default: all cores)")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    parser.add_argument("--loop", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        spec = json.loads(options.loop.read_text())
        return print(json.dumps(plain(spec, remote(options.endpoint, options.concurrency))))

    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, serving("--delay", str(options.delay)) as endpoint:
        for number in range(options.rounds):
            rows.append(round_of(options, endpoint, Path(folder) / str(number)))
            print(report(rows), flush=True)
    text = (
        f"`./vard bench overlap --rounds {options.rounds} --iterations {options.iterations} --delay {options.delay:g} --concurrency {options.concurrency}"
        f" --staleness {options.staleness} --threads {options.threads}` on {machine()}: seconds of the whole run, evaluations included, without loading the"
        f" model.\n\n{report(rows)}\n\nMedian: the run takes {median(rows, 'run'):.2f}, the loop {median(rows, 'loop'):.2f} of the larger of model and reward."
    )
    print("\n" + text)
    if not options.no_docs:
        replace_section(HOME / "docs" / "rewards.md", "overlap", text)


def round_of(options: argparse.Namespace, endpoint: str, folder: Path) -> dict[str, float]:
    reward = {"kind": "grpc", "endpoints": [endpoint], "batch": 1, "concurrency": options.concurrency}
    spec = example(name="overlap", threads=options.threads, reward=reward)
    spec["algorithm"] |= {"iterations": options.iterations, "staleness": options.staleness}
    run = seconds(spec, folder / "run")
    # The same steps on the model, with a reward that costs nothing.
    alone = spec | {"reward": {"kind": "jpeg-compressibility"}}
    alone["algorithm"] = spec["algorithm"] | {"value": spec["algorithm"]["value"] | {"ahead": spec["algorithm"]["value"]["steps"] // 2}}
    return {
        "model": seconds(alone, folder / "model")["total"],
        "reward": reward_alone(endpoint, options, queries(spec)),
        "run": run["total"],
        "overlap": run["overlap"],
        "loop": loop(spec, endpoint, options, beside(folder, ".json")),
    }


def seconds(spec: Json, folder: Path) -> dict[str, float]:
    wait(start(spec, folder), folder)
    events = metrics(folder)
    scoring = [event["scoring"] for event in events if event["event"] in ("iteration", "evaluated")]
    hidden = 1 - sum(s["waited"] for s in scoring) / sum(s["seconds"] for s in scoring)
    return {"total": of_kind(events, "finished")[0]["seconds"]["total"], "overlap": hidden}


def queries(spec: Json) -> int:
    iterations, every = spec["algorithm"]["iterations"], spec["evaluate"]["every"]
    return iterations * spec["algorithm"]["samples"] + (1 + -(-iterations // every)) * spec["evaluate"]["images"]


def reward_alone(endpoint: str, options: argparse.Namespace, images: int) -> float:
    import numpy as np

    begin = time.monotonic()
    remote(endpoint, options.concurrency)([np.zeros((SIDE, SIDE, 3), np.uint8)] * images)
    return time.monotonic() - begin


def remote(endpoint: str, concurrency: int) -> Callable[[list[Any]], list[float]]:
    """Asks for one image at a time, so many at once."""
    stub = reward_pb2_grpc.RewardServiceStub(grpc.insecure_channel(endpoint))

    def one(image: Any) -> float:
        height, width, _ = image.shape
        return stub.Score(pb.ScoreRequest(queries=[pb.RewardQuery(rgb=image.tobytes(), height=height, width=width)])).outcomes[0].score

    def score_all(images: list[Any]) -> list[float]:
        with ThreadPoolExecutor(concurrency) as threads:
            return list(threads.map(one, images))

    return score_all


def loop(spec: Json, endpoint: str, options: argparse.Namespace, file: Path) -> float:
    file.write_text(json.dumps(spec))
    command = [sys.executable, __file__, "--loop", file, "--endpoint", endpoint, "--concurrency", str(options.concurrency)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=HOME)
    return json.loads(done.stdout.splitlines()[-1])["whole"]


def ratio(row: dict[str, float], arm: str) -> float:
    return row[arm] / max(row["model"], row["reward"])


def median(rows: list[dict[str, float]], arm: str) -> float:
    return statistics.median(ratio(row, arm) for row in rows)


def report(rows: list[dict[str, float]]) -> str:
    header = ["round", "model alone, s", "reward alone, s", "run, s", "loop, s", "run / larger", "loop / larger", "hidden"]
    return table(
        header,
        [
            [
                str(i + 1),
                *(f"{row[arm]:.1f}" for arm in ("model", "reward", "run", "loop")),
                f"{ratio(row, 'run'):.3f}",
                f"{ratio(row, 'loop'):.3f}",
                f"{row['overlap']:.0%}",
            ]
            for i, row in enumerate(rows)
        ],
    )


if __name__ == "__main__":
    main()
