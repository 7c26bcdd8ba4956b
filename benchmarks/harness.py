"""What the benchmarks share: the example's specification, runs of ``vard run``, and what their folders say."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HOME = Path(__file__).resolve().parent.parent
EXAMPLE = HOME / "examples" / "emoji-compressibility.yaml"

Json = dict[str, Any]


def example(**changes: Any) -> Json:
    """The example's specification, with some of its top-level keys replaced."""
    return yaml.safe_load(EXAMPLE.read_text()) | changes


def start(spec: Json, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Starts ``vard run`` with its folder and its log beside it. The program is built already: `vard bench` saw to it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = beside(folder, ".yaml")
    # JSON is YAML.
    file.write_text(json.dumps(spec, indent=1))
    log = beside(folder, ".log").open("wb")
    return subprocess.Popen([HOME / "vard", "run", file, "--out", folder, "--json", *options], cwd=HOME, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def beside(folder: Path, ending: str) -> Path:
    """A file beside a run's folder, of its name."""
    return folder.with_name(folder.name + ending)


def wait(process: subprocess.Popen[bytes], folder: Path, meanwhile: Callable[[], None] | None = None) -> None:
    """Waits for a run's end; raises with its log's end when it failed."""
    while meanwhile is not None and process.poll() is None:
        meanwhile()
    if process.wait() != 0:
        tail = beside(folder, ".log").read_text()[-2000:]
        raise SystemExit(f"vard run failed with exit code {process.returncode}:\n{tail}")


def metrics(folder: Path) -> list[Json]:
    """The run's events, in order; none where there is no run."""
    file = folder / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def of_kind(events: list[Json], kind: str) -> list[Json]:
    return [event for event in events if event["event"] == kind]


def paired_change(before: Json, after: Json) -> tuple[float, float]:
    """Mean change of the reward from one evaluation to another of the same seeds, and its 95 % half-width, both
    relative to the first one's mean."""
    differences = [b - a for a, b in zip(before["rewards"], after["rewards"], strict=True)]
    n, mean = len(differences), sum(differences) / len(differences)
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1))
    scale = abs(before["reward"]["mean"])
    return mean / scale, 1.96 * deviation / math.sqrt(n) / scale


def machine() -> str:
    """One line that says on what this was measured."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores, {model}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def replace_section(document: Path, name: str, text: str) -> None:
    """Puts measured text between a document's markers ``<!-- name -->`` and ``<!-- /name -->``."""
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = document.read_text()
    head, rest = whole.split(opening)
    tail = rest.split(closing)[1]
    document.write_text(f"{head}{opening}\n{text}\n{closing}{tail}")
