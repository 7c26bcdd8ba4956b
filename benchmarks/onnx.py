"""An ONNX reward in the JVM, against the same model through onnxruntime in Python.

The same held-out pictures of the emoji classifier, as bytes of RGB in memory, become log-probabilities of "food & drink". Both
arms live in one run and take turns, round after round; each is a process that was warmed up. The JVM's arm is what a run uses,
with its queues and checks, started as `vard` starts. Python has a pool of as many threads, and its own best way: NumPy, one
session of one thread an operation, calls of the same number of images; pictures that are too large are scaled by Pillow.

    ./vard bench onnx [--rounds 9] [--images 1024]
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from harness import HOME, example, machine, replace_section, table

MODEL = HOME / "checkpoints" / "emoji-category" / "model.onnx"
HELD_OUT = MODEL.with_name("held-out.png")
CLASS, SIDE = 3, 32  # food & drink
WARM = 6


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench onnx", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--plain", nargs=4, type=int, metavar=("SIDE", "IMAGES", "THREADS", "BATCH"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        return plain(arguments.file, *arguments.plain)
    cores = os.cpu_count() or 1
    settings = [(side, threads, batch) for side in (SIDE, 2 * SIDE) for threads in sorted({1, cores}) for batch in (1, 16)]
    rows = []
    for side, threads, batch in settings:
        rows.append(row(side, threads, batch, arguments))
        print(" ".join(rows[-1]), file=sys.stderr)
    header = [
        "images",
        "threads",
        "images a call",
        "JVM, images/s",
        "Python, images/s",
        "JVM / Python",
        "least",
        "most",
        "JVM, CPU µs",
        "Python, CPU µs",
        "Python / JVM",
    ]
    text = (
        f"`./vard bench onnx --rounds {arguments.rounds} --images {arguments.images}` on {machine()}; onnxruntime {onnxruntime.__version__} in Python. "
        "Medians over the rounds; ratios are paired, of images/s with the least and the most. CPU µs: what an image costs the processor, which other "
        "programs on the machine hardly change.\n\n" + table(header, rows)
    )
    print(text)
    replace_section(HOME / "docs" / "benchmarks.md", "onnx", text)


def row(side: int, threads: int, batch: int, arguments: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.rgb"
        file.write_bytes(pictures(side, arguments.images).tobytes())
        with jvm(Path(folder), file, side, threads, batch, arguments.images) as java, python(file, side, threads, batch, arguments.images) as rival:
            arms, costs = ([], []), ([], [])
            for round_ in range(arguments.rounds):
                # Who is first may find the machine otherwise than who is second.
                first, second = (java, rival) if round_ % 2 else (rival, java)
                answers = {first: once(first), second: once(second)}
                (seconds, cpu, total), (plain_seconds, plain_cpu, plain_total) = answers[java], answers[rival]
                # Pillow rounds to bytes after each direction of scaling, and 64 pixels become 32 so.
                if abs(total - plain_total) > (1e-4 if side == SIDE else 0.02) * arguments.images:
                    raise SystemExit(f"the arms disagree: scores sum up to {total} in the JVM and {plain_total} in Python")
                arms[0].append(arguments.images / seconds)
                arms[1].append(arguments.images / plain_seconds)
                costs[0].append(1e6 * cpu / arguments.images)
                costs[1].append(1e6 * plain_cpu / arguments.images)
    ratios = [j / p for j, p in zip(*arms, strict=True)]
    rates = [f"{statistics.median(rates):.0f}" for rates in arms]
    cheaper = statistics.median(p / j for j, p in zip(*costs, strict=True))
    spread = [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}"]
    return [f"{side} × {side}", str(threads), str(batch), *rates, *spread, *(f"{statistics.median(c):.0f}" for c in costs), f"{cheaper:.2f}"]


def pictures(side: int, count: int) -> np.ndarray:
    """uint8 [count, side, side, 3]: the held-out pictures, again from the first when they are all."""
    page = np.asarray(Image.open(HELD_OUT).convert("RGB"))
    rows, columns = page.shape[0] // SIDE, page.shape[1] // SIDE
    images = page.reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 3)
    factor = side // SIDE
    return np.resize(images, (count, SIDE, SIDE, 3)).repeat(factor, 1).repeat(factor, 2)


def once(process: subprocess.Popen[str]) -> tuple[float, float, float]:
    """Seconds of one round, the processor's seconds, and the sum of its scores."""
    print("again", file=process.stdin, flush=True)
    seconds, cpu, total = map(float, process.stdout.readline().split())
    return seconds, cpu, total


@contextmanager
def jvm(folder: Path, file: Path, side: int, threads: int, batch: int, images: int) -> Iterator[subprocess.Popen[str]]:
    reward = {"kind": "onnx", "model": str(MODEL), "output": {"take": "log-softmax", "index": CLASS}, "concurrency": threads, "batch": batch}
    spec = folder / "spec.yaml"
    spec.write_text(json.dumps(example(name="onnx", reward=reward)))
    # As the launcher starts the program.
    java = [Path(os.environ["JAVA_HOME"]) / "bin" / "java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED"]
    command = [*java, "-cp", HOME / ".vard" / "vard.jar", HOME / "benchmarks" / "OnnxSpeed.java", spec, file, images, side]
    with arm(command) as process:
        yield process


@contextmanager
def python(file: Path, side: int, threads: int, batch: int, images: int) -> Iterator[subprocess.Popen[str]]:
    with arm([sys.executable, __file__, "--file", file, "--plain", side, images, threads, batch]) as process:
        yield process


@contextmanager
def arm(command: list) -> Iterator[subprocess.Popen[str]]:
    """A process that answers lines; warm after some rounds, which the JVM needs to compile what it runs."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([str(c) for c in command], cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{command[0]} did not start: exit code {process.wait()}")
        for _ in range(WARM):
            once(process)
        yield process
    finally:
        process.stdin.close()
        process.wait()


def plain(file: Path, side: int, count: int, threads: int, batch: int) -> None:
    images = np.fromfile(file, np.uint8).reshape(count, side, side, 3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

    def score(begin: int) -> np.ndarray:
        some = images[begin : begin + batch]
        if side != SIDE:
            some = np.stack([np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in some])
        x = np.ascontiguousarray(some.transpose(0, 3, 1, 2), np.float32)
        x /= 255
        logits = session.run(None, {"image": x})[0].astype(np.float64)
        most = logits.max(1)
        return logits[:, CLASS] - most - np.log(np.exp(logits - most[:, None]).sum(1))

    with ThreadPoolExecutor(threads) as pool:
        print("ready", flush=True)
        for _ in sys.stdin:
            cpu, begin = time.process_time(), time.perf_counter()
            scores = np.concatenate(list(pool.map(score, range(0, count, batch))))
            print(f"{time.perf_counter() - begin:.6f} {time.process_time() - cpu:.6f} {scores.sum():.9f}", flush=True)


if __name__ == "__main__":
    main()
