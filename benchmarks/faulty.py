"""What a flaky reward service does to a run: nothing but to slow it.

Two runs of the example at small size: one against a faultless service, one against the same service with failing, hanging
and senseless answers. Compared are the LoRA, every number of the metrics, and what the service was asked again though it
had answered.

    ./vard bench faulty [--fail 0.3] [--hang 0.05] [--malformed 0.01] [--timeout 2] [--iterations 6] [--seed 1]
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from harness import HOME, Json, example, machine, metrics, of_kind, replace_section, start, table, wait
from reward_server import serving


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench faulty", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fail", type=float, default=0.3)
    parser.add_argument("--hang", type=float, default=0.05)
    parser.add_argument("--malformed", type=float, default=0.01)
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds until a call counts as failed")
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    faults = ["--fail", str(options.fail), "--hang", str(options.hang), "--malformed", str(options.malformed), "--seed", str(options.seed)]
    with tempfile.TemporaryDirectory() as folder:
        good = run(options, Path(folder) / "faultless", [])
        bad = run(options, Path(folder) / "faulty", faults)
    rows = [row("faultless", good), row("faulty", bad)]
    same = good["sha256"] == bad["sha256"] and good["metrics"] == bad["metrics"]
    text = (
        f"`./vard bench faulty --fail {options.fail:g} --hang {options.hang:g} --malformed {options.malformed:g} --timeout {options.timeout:g} --iterations"
        f" {options.iterations} --seed {options.seed}` on {machine()}.\n\n"
        + table(["service", "LoRA, sha256", "calls", "queries retried", "scored twice", "seconds"], rows)
        + f"\n\n{'The same LoRA and the same metrics.' if same else 'THEY DIFFER.'}"
    )
    print(text)
    if not same or bad["twice"] or good["twice"]:
        raise SystemExit("a faulty service must change nothing")
    if not options.no_docs:
        replace_section(HOME / "docs" / "rewards.md", "faulty", text)


def run(options: argparse.Namespace, folder: Path, faults: list[str]) -> Json:
    log = folder.with_suffix(".scored")
    with serving("--delay", "0.01", "--log", str(log), *faults) as endpoint:
        reward = {"kind": "grpc", "endpoints": [endpoint], "timeout": options.timeout, "retries": 30, "batch": 1, "concurrency": 8}
        spec = example(name="faulty", threads=1, reward=reward, evaluate={"every": 3, "images": 8})
        spec["sampler"] |= {"steps": 8, "batch": 4}
        value = spec["algorithm"]["value"] | {"warmup": 1, "steps": 8, "batch": 32}
        policy = spec["algorithm"]["policy"] | {"steps": 2, "batch": 8}
        spec["algorithm"] |= {"iterations": options.iterations, "samples": 16, "value": value, "policy": policy}
        wait(start(spec, folder), folder)
    events = metrics(folder)
    finished = of_kind(events, "finished")[0]
    parts = [part for event in events for part in event.get("scoring", {}).get("parts", [])]
    scored = Counter(log.read_text().splitlines())
    return {
        "sha256": finished["export_sha256"],
        "metrics": [without_times(event) for event in events if event["event"] in ("evaluated", "iteration", "finished")],
        "calls": sum(part["calls"] for part in parts),
        "retried": sum(part["retried"] for part in parts),
        "twice": sum(times > 1 for times in scored.values()),
        "seconds": finished["seconds"]["total"],
    }


def without_times(event: Json) -> Json:
    """The numbers alone, and of how the scores were had only what they were."""
    kept = {key: value for key, value in event.items() if key not in ("seconds", "time", "export", "run_id", "scoring")}
    return kept | {"means": [(part["name"], part["mean"]) for part in event.get("scoring", {}).get("parts", [])]}


def row(name: str, run: Json) -> list[str]:
    return [name, run["sha256"][:16] + "…", str(run["calls"]), str(run["retried"]), str(run["twice"]), f"{run['seconds']:.0f}"]


if __name__ == "__main__":
    main()
