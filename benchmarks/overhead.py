"""What the orchestration costs: the same operations in one plain Python process, with a local worker, and embedded.

The three take turns, round after round, so that a noisy machine is as noisy to each. Compared are the seconds of the
training iterations (the first left out: it warms caches up) and the worker's peak memory.

    ./vard bench overhead [--rounds 5] [--iterations 5] [--threads N]
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import HOME, Json, beside, example, machine, metrics, of_kind, replace_section, start, table, wait

PHASES = ("sample", "score", "value", "policy", "total")


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a PyTorch operator (default: all cores)")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        return print(json.dumps(plain(json.loads(arguments.plain.read_text()))))

    arms: dict[str, list[Json]] = {"plain Python": [], "local": [], "embedded": []}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(arguments.rounds):
            for arm, results in arms.items():
                results.append(measure(arm, Path(folder) / f"{round_}-{arm.split()[0]}", arguments))
                print(f"round {round_ + 1}: {arm}: {results[-1]['seconds']['total']:.2f} s an iteration", file=sys.stderr)
    text = report(arms, arguments)
    print(text)
    replace_section(HOME / "docs" / "benchmarks.md", "overhead", text)


def specification(arguments: argparse.Namespace, worker: str) -> Json:
    iterations = arguments.iterations
    spec = example(name="overhead", threads=arguments.threads, evaluate={"every": iterations, "images": 16}, worker=worker)
    spec["algorithm"] |= {"iterations": iterations, "value": spec["algorithm"]["value"] | {"warmup": 1}}
    return spec


def measure(arm: str, folder: Path, arguments: argparse.Namespace) -> Json:
    """Mean seconds of an iteration by phase, and the worker process's peak resident memory in MiB."""
    spec = specification(arguments, "local" if arm.startswith("plain") else arm)
    if arm == "plain Python":
        file = beside(folder, ".json")
        file.write_text(json.dumps(spec))
        done = subprocess.run([sys.executable, __file__, "--plain", file], check=True, capture_output=True, cwd=HOME)
        return json.loads(done.stdout.splitlines()[-1])
    process, peaks = start(spec, folder), [0.0]

    def watch() -> None:
        peaks.append(max(peak_of(process.pid, "java"), peak_of(process.pid, "python")) if arm == "embedded" else peak_of(process.pid, "python"))
        time.sleep(0.1)

    wait(process, folder, watch)
    later = of_kind(metrics(folder), "iteration")[1:]
    return {"seconds": {phase: statistics.mean(i["seconds"][phase] for i in later) for phase in PHASES}, "peak": max(peaks)}


def peak_of(root: int, name: str) -> float:
    """High-water mark, in MiB, of the resident memory of the process tree's members of this name."""
    peak, pids = 0.0, [root]
    while pids:
        pid = pids.pop()
        try:
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            for thread in Path(f"/proc/{pid}/task").iterdir():
                if thread.name != str(pid):
                    pids += map(int, (thread / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status["Name"].startswith(name) and "VmHWM" in status:
            peak = max(peak, int(status["VmHWM"].split()[0]) / 1024)
    return peak


def plain(spec: Json, score_all: Callable[[list[Any]], list[float]] | None = None) -> Json:
    """The run's operations, one after the other, with nothing between them and PyTorch: the worker's own session, called directly.

    ``score_all`` takes images, uint8 (H, W, 3), and gives their rewards; without it that is minus their kilobytes as JPEGs.
    """
    import numpy as np
    import torch
    from PIL import Image

    from vard_worker.handler import peak_memory
    from vard_worker.objectives import Vard
    from vard_worker.session import Session
    from vard_worker.settings import AdapterSettings, ModelSettings, OpenSettings, SamplerSettings, ValueSettings
    from vard_worker.trainer import Descent
    from vard_worker.trajectories import Sampling, Target, TrajectorySpec

    torch.set_num_threads(spec["threads"])
    never = lambda: False
    algorithm, sampler, model = spec["algorithm"], spec["sampler"], spec["model"]
    value, policy, samples = algorithm["value"], algorithm["policy"], algorithm["samples"]
    lines = (HOME / spec["prompts"]["file"]).read_text().splitlines()
    prompts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    session = Session.open(
        OpenSettings(
            session_id="plain",
            model=ModelSettings(
                checkpoint=str(HOME / model["checkpoint"]),
                adapter=AdapterSettings(model["adapter"]["rank"], model["adapter"]["alpha"], tuple(model["adapter"]["targets"])),
            ),
            sampler=SamplerSettings(kind="ddim", steps=sampler["steps"], guidance=sampler["guidance"], eta=sampler["eta"]),
            value=ValueSettings("conv"),
            seed=spec["seed"],
        )
    )

    def draw(name: str, count: int, retain: bool) -> tuple[list[str], list[np.ndarray]]:
        specs = tuple(TrajectorySpec(f"{name}-{i}", prompts[i % len(prompts)], i) for i in range(count))
        sampling = Sampling(specs, sampler.get("batch", 16), retain=retain, measure_kl=not retain)
        images = np.concatenate([chunk.pixels for chunk in session.sample(sampling, never)])
        return [spec.id for spec in specs], list(images)

    def score(image: np.ndarray) -> float:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=spec["reward"]["quality"])
        return -file.tell() / 1000

    def evaluate() -> None:
        score_all(draw("evaluation", spec["evaluate"]["images"], retain=False)[1])

    score_all = score_all or (lambda images: [score(image) for image in images])
    rewards: dict[str, float] = {}
    iterations = []
    begin = time.monotonic()
    evaluate()
    for k in range(1, algorithm["iterations"] + 1):
        marks = [time.monotonic()]
        ids, images = draw(str(k), samples, retain=True)
        marks.append(time.monotonic())
        rewards |= zip(ids, score_all(images), strict=True)
        marks.append(time.monotonic())
        mean, deviation = statistics.mean(rewards.values()), statistics.stdev(rewards.values())
        targets = {name: Target(name, (reward - mean) / deviation) for name, reward in rewards.items()}
        session.evaluate([targets[name] for name in ids], value["batch"], never)
        session.fit_value(list(targets.values()), Descent(value["steps"], value["batch"], value["learning-rate"], seed=k), never)
        marks.append(time.monotonic())
        if k > value["warmup"]:
            descent = Descent(policy["steps"], policy["batch"], policy["learning-rate"], max_gradient_norm=1.0, seed=k)
            session.improve_policy(ids, Vard(), 0.02, descent, never)
        marks.append(time.monotonic())
        iterations.append([*(after - before for before, after in itertools.pairwise(marks)), marks[-1] - marks[0]])
        if k % spec["evaluate"]["every"] == 0 or k == algorithm["iterations"]:
            evaluate()
    seconds = {phase: statistics.mean(row[i] for row in iterations[1:]) for i, phase in enumerate(PHASES)}
    return {"seconds": seconds, "whole": time.monotonic() - begin, "peak": peak_memory() / 2**20}


def report(arms: dict[str, list[Json]], arguments: argparse.Namespace) -> str:
    base = arms["plain Python"]
    rows = []
    for arm, results in arms.items():
        throughput = statistics.median(b["seconds"]["total"] / r["seconds"]["total"] for b, r in zip(base, results, strict=True))
        memory = statistics.median(r["peak"] / b["peak"] for b, r in zip(base, results, strict=True))
        phases = [f"{statistics.median(r['seconds'][phase] for r in results):.2f}" for phase in PHASES]
        rows.append([arm, *phases, f"{throughput:.3f}", f"{statistics.median(r['peak'] for r in results):.0f}", f"{memory:.3f}"])
    header = ["arm", *(f"{phase}, s" for phase in PHASES), "throughput", "peak, MiB", "memory"]
    return (
        f"`./vard bench overhead --rounds {arguments.rounds} --iterations {arguments.iterations} --threads {arguments.threads}` on {machine()}. "
        "Seconds of one training iteration of the example and the peak memory of the process that computes, medians over the rounds; "
        "throughput and memory are medians of the paired ratios to plain Python.\n\n" + table(header, rows)
    )


if __name__ == "__main__":
    main()
