"""The example as it ships, over three seeds: how much smaller, how far from the pretrained model, how long.

./vard bench example [--seeds 7 8 9]
"""

from __future__ import annotations

import argparse
import time

from harness import HOME, example, machine, metrics, of_kind, paired_change, replace_section, start, table, wait

RUNS = HOME / "runs" / "example"


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench example", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    seeds = parser.parse_args().seeds
    stamp = time.strftime("%Y%m%d-%H%M%S")
    rows = [measure(seed, f"{stamp}-{seed}") for seed in seeds]
    header = ["seed", "queries", "bytes before", "after", "change", "KL, nats", "whole run, s", "sample", "score", "value", "policy"]
    text = (
        f"`./vard bench example` on {machine()}: `examples/emoji-compressibility.yaml` with all cores, set-up done before. "
        "Mean JPEG bytes of 64 held-out images, the same seeds before and after; the change is paired, with its 95 % interval. The whole run "
        "is the process from start to exit; the phases are its own count.\n\n" + table(header, rows)
    )
    print(text)
    replace_section(HOME / "docs" / "benchmarks.md", "example", text)


def measure(seed: int, name: str) -> list[str]:
    folder, began = RUNS / name, time.monotonic()
    wait(start(example(seed=seed), folder), folder)
    whole = time.monotonic() - began
    events = metrics(folder)
    first, *_, last = of_kind(events, "evaluated")
    change, half = paired_change(first, last)
    end = of_kind(events, "finished")[0]
    print(f"seed {seed}: {-100 * change:+.1f} % in {whole:.0f} s", flush=True)
    return [
        str(seed),
        str(end["reward_queries"]),
        f"{-1000 * first['reward']['mean']:.0f}",
        f"{-1000 * last['reward']['mean']:.0f}",
        f"{-100 * change:+.1f} % ± {100 * half:.1f}",
        f"{last['kl_per_trajectory']:.1f}",
        f"{whole:.0f}",
        *(f"{end['seconds'][phase]:.0f}" for phase in ("sample", "score", "value", "policy")),
    ]


if __name__ == "__main__":
    main()
