"""What surviving costs: the example with its database and checkpoints, paired with one that keeps neither.

./vard bench durability [--rounds 3] [--iterations 16] [--threads N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from harness import HOME, Json, example, machine, metrics, of_kind, replace_section, start, table, wait

RUNS = HOME / "runs" / "durability"


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench durability", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    spec = example(threads=options.threads)
    spec["algorithm"]["iterations"] = options.iterations
    stamp = time.strftime("%Y%m%d-%H%M%S")
    rows, ratios = [], []
    for number in range(options.rounds):
        # They take turns in going first: what a machine does beside must not always hit the same one.
        order = ["kept", "ephemeral"] if number % 2 == 0 else ["ephemeral", "kept"]
        seconds, training = {}, {}
        for arm in order:
            seconds[arm], training[arm] = measure(spec, f"{stamp}-{number}-{arm}", arm == "ephemeral")
        ratios.append(seconds["kept"] / seconds["ephemeral"])
        rows.append(
            [str(number + 1), *(f"{seconds[arm]:.1f}" for arm in ("kept", "ephemeral")), *(f"{training[arm]:.1f}" for arm in ("kept", "ephemeral")),
             f"{ratios[-1]:.3f}", f"{training['kept'] / training['ephemeral']:.3f}"]
        )  # fmt: skip
        print(table(HEADER, rows), flush=True)
    text = (
        f"`./vard bench durability --rounds {options.rounds} --iterations {options.iterations} --threads {options.threads}` on {machine()}: the example as "
        "`vard run` and as `vard run --ephemeral`, which keeps no database and no checkpoints. The whole process from start to exit, and the run's own "
        f"count.\n\n{table(HEADER, rows)}\n\nMedian ratio of the whole process: {statistics.median(ratios):.3f}."
    )
    print("\n" + text)
    if not options.no_docs:
        replace_section(HOME / "docs" / "reliability.md", "durability", text)


HEADER = ["round", "kept, s", "ephemeral, s", "run kept, s", "run ephemeral, s", "ratio", "ratio of runs"]


def measure(spec: Json, name: str, ephemeral: bool) -> tuple[float, float]:
    """Seconds of the whole process, and of the run by its own count."""
    folder, began = RUNS / name, time.monotonic()
    wait(start(spec, folder, *(["--ephemeral"] if ephemeral else [])), folder)
    whole = time.monotonic() - began
    return whole, of_kind(metrics(folder), "finished")[0]["seconds"]["total"]


if __name__ == "__main__":
    main()
