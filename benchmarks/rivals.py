"""VARD against DDPO: same checkpoint, sampler, prompts, reward and seeds.

    ./vard bench rivals [--jobs 2] [--fresh]

1. DDPO at three learning rates for 640 queries; the best one is followed to 5,120.
2. VARD at KL budgets of 10, 30, 60 and 120 nats for 512 queries, and at 60 nats with two more seeds.
3. Draws reward against queries and reward against KL into docs/images/rivals.png, and the tables into docs/benchmarks.md.

Every run uses one thread, and `--jobs` of them run at once. Finished runs under runs/rivals are used again, unless --fresh.
"""

from __future__ import annotations

import argparse
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import HOME, Json, beside, example, machine, metrics, of_kind, paired_change, replace_section, start, table, wait

RUNS = HOME / "runs" / "rivals"
SAMPLES = 32
BUDGETS = (10.0, 30.0, 60.0, 120.0)
SEEDS = (7, 8, 9)
RATES = (1e-4, 3e-4, 1e-3)
GOAL = 0.20


@dataclass(frozen=True)
class Run:
    name: str
    spec: Json

    @property
    def folder(self) -> Path:
        return RUNS / self.name

    @property
    def events(self) -> list[Json]:
        return metrics(self.folder)

    @property
    def finished(self) -> bool:
        return bool(of_kind(self.events, "finished"))

    @property
    def evaluations(self) -> list[Json]:
        return of_kind(self.events, "evaluated")

    def path(self) -> list[tuple[int, float, float, float]]:
        """Queries, KL, and relative change of the held-out reward with its 95 % half-width, at each evaluation."""
        first = self.evaluations[0]
        return [(SAMPLES * e["iteration"], e["kl_per_trajectory"], *paired_change(first, e)) for e in self.evaluations]


def vard(budget: float, seed: int) -> Run:
    spec = example(name="rivals-vard", seed=seed, threads=1, evaluate={"every": 4, "images": 64})
    spec["algorithm"] |= {"iterations": 16, "samples": SAMPLES, "kl": {"budget": budget}}
    return Run(f"vard-{budget:g}-{seed}", spec)


def ddpo(rate: float, iterations: int, every: int) -> Run:
    """Every (trajectory, t) pair of an iteration is used once, as DDPO's authors do, so with twice VARD's gradient steps."""
    spec = example(name="rivals-ddpo", threads=1, evaluate={"every": every, "images": 64})
    steps = spec["sampler"]["steps"]
    spec["algorithm"] = {
        "kind": "ddpo",
        "iterations": iterations,
        "samples": SAMPLES,
        "policy": {"steps": steps, "batch": SAMPLES, "learning-rate": rate},
        "kl": {"weight": 0.0},
    }
    return Run(f"ddpo-{rate:g}-{iterations}", spec)


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench rivals", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--long", type=int, default=160, help="iterations that the best DDPO is followed for (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(RUNS, ignore_errors=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        trials = [ddpo(rate, 20, 10) for rate in RATES]
        list(pool.map(finish, trials))
        best = max(zip(RATES, trials, strict=True), key=lambda pair: pair[1].evaluations[-1]["reward"]["mean"])[0]
        long = ddpo(best, arguments.long, 8)
        frontier = [vard(budget, SEEDS[0]) for budget in BUDGETS]
        seeds = [vard(60.0, seed) for seed in SEEDS]
        # The longest first; the frontier's run at 60 nats is the first seed's.
        list(pool.map(finish, {run.name: run for run in [long, *seeds, *frontier]}.values()))
    text = report(trials, long, seeds, frontier)
    print(text)
    replace_section(HOME / "docs" / "benchmarks.md", "rivals", text)
    draw(long, seeds, frontier, HOME / "docs" / "images" / "rivals.png")


def finish(run: Run) -> None:
    if run.finished and json.loads(beside(run.folder, ".yaml").read_text()) == run.spec:
        return
    shutil.rmtree(run.folder, ignore_errors=True)
    print(f"{run.name}: starts", flush=True)
    wait(start(run.spec, run.folder), run.folder)
    print(f"{run.name}: {run.evaluations[0]['reward']['mean']:.3f} -> {run.evaluations[-1]['reward']['mean']:.3f}", flush=True)


def queries_to_goal(run: Run) -> int | None:
    """The first evaluation at which the held-out reward is a fifth better, in queries."""
    return next((queries for queries, _, change, _ in run.path() if change >= GOAL), None)


def bytes_of(evaluation: Json) -> str:
    return f"{-1000 * evaluation['reward']['mean']:.0f}"


def row(label: str, run: Run) -> list[str]:
    queries, kl, change, half = run.path()[-1]
    goal = queries_to_goal(run)
    first, last = run.evaluations[0], run.evaluations[-1]
    return [
        label,
        f"{queries}",
        bytes_of(first),
        bytes_of(last),
        f"{-100 * change:+.1f} % ± {100 * half:.1f}",
        f"{kl:.1f}",
        f"{goal}" if goal else "not reached",
    ]


def at_kl(run: Run, budget: float) -> str:
    """The best change among the evaluations whose KL was within the budget, and the queries that it took."""
    within = [(change, queries) for queries, kl, change, _ in run.path() if kl <= budget]
    change, queries = max(within)
    return f"{-100 * change:+.1f} % ({queries})"


def report(trials: list[Run], long: Run, seeds: list[Run], frontier: list[Run]) -> str:
    header = ["run", "queries", "bytes before", "after", "change", "KL, nats", "queries to −20 %"]
    rows = [row(f"VARD, budget 60, seed {seed}", run) for seed, run in zip(SEEDS, seeds, strict=True)]
    rows += [row(f"VARD, budget {budget:g}", run) for budget, run in zip(BUDGETS, frontier, strict=True) if run not in seeds]
    rows += [row(f"DDPO, learning rate {rate:g}", run) for rate, run in zip(RATES, trials, strict=True)]
    rows.append(row("DDPO, the best of these, followed", long))
    budgets = [[f"{budget:g}", at_kl(run, budget), at_kl(long, budget)] for budget, run in zip(BUDGETS, frontier, strict=True)]
    return (
        f"`./vard bench rivals` on {machine()}, one thread a run. Mean JPEG bytes of 64 held-out images, the same seeds before and after; "
        "the change is paired, with its 95 % interval. They are evaluated every 128 queries (VARD) and 256 (DDPO followed).\n\n"
        + table(header, rows)
        + "\n\nThe frontier: the best change at an evaluation whose KL was within so many nats a trajectory, and after how many queries. "
        "VARD is a run of its own for each budget; DDPO, which has none, is the long run as it passes.\n\n"
        + table(["KL, nats", "VARD (queries)", "DDPO (queries)"], budgets)
        + "\n\n![Reward against queries, and against KL](images/rivals.png)"
    )


def draw(long: Run, seeds: list[Run], frontier: list[Run], file: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for run, label in [*((run, f"VARD, seed {seed}") for seed, run in zip(SEEDS, seeds, strict=True)), (long, "DDPO, best learning rate")]:
        path = run.path()
        colour = "tab:orange" if run is long else "tab:blue"
        x, y, half = [p[0] for p in path], [-100 * p[2] for p in path], [100 * p[3] for p in path]
        left.plot(x, y, color=colour, marker=".", label=label)
        left.fill_between(x, [a - b for a, b in zip(y, half, strict=True)], [a + b for a, b in zip(y, half, strict=True)], color=colour, alpha=0.1)
    left.axhline(-100 * GOAL, color="grey", linestyle=":")
    left.set(xlabel="reward queries", ylabel="change of mean JPEG bytes, %", title="Held-out reward against queries")
    left.set_xscale("symlog", linthresh=SAMPLES)
    left.set_xlim(left=0)
    for budget, run in zip(BUDGETS, frontier, strict=True):
        path = run.path()
        right.plot(
            [p[1] for p in path],
            [-100 * p[2] for p in path],
            color="tab:blue",
            alpha=0.3 + 0.15 * BUDGETS.index(budget),
            marker=".",
            label=f"VARD, budget {budget:g}",
        )
    path = long.path()
    right.plot([p[1] for p in path], [-100 * p[2] for p in path], color="tab:orange", marker=".", label="DDPO, best learning rate")
    right.set(xlabel="KL to the pretrained model, nats a trajectory", title="Held-out reward against KL")
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
