"""What waiting for a slow reward costs: so many calls under way at once, each of which takes long, and nothing else.

./vard bench waiting [--calls 64] [--seconds 10]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from PIL import Image

from harness import HOME, example, machine, replace_section, table
from reward_server import serving

START = 15.0
"""Seconds that the program may take until all calls are under way."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench waiting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    delay = START + options.seconds + 5
    with tempfile.TemporaryDirectory() as name, serving("--delay", str(delay)) as endpoint:
        folder = Path(name)
        for i in range(options.calls):
            Image.new("RGB", (32, 32), (i % 256, 0, 0)).save(folder / f"{i:04}.png")
        spec = folder / "waiting.yaml"
        reward = {"kind": "grpc", "endpoints": [endpoint], "batch": 1, "concurrency": options.calls, "timeout": 2 * delay, "retries": 0}
        spec.write_text(json.dumps(example(name="waiting", reward=reward)))
        process = subprocess.Popen([HOME / "vard", "reward", spec, "--images", folder], stdout=subprocess.DEVNULL, cwd=HOME)
        time.sleep(START)
        before, began = cpu_seconds(process.pid), time.monotonic()
        time.sleep(options.seconds)
        share = (cpu_seconds(process.pid) - before) / (time.monotonic() - began)
        threads = len(os.listdir(f"/proc/{process.pid}/task"))
        if process.wait() != 0:
            raise SystemExit("vard reward failed")
    text = (
        f"`./vard bench waiting --calls {options.calls} --seconds {options.seconds:g}` on {machine()}: the orchestrator's process while all calls are under"
        f" way.\n\n" + table(["calls at once", "of one core", "threads"], [[str(options.calls), f"{share:.1%}", str(threads)]])
    )
    print(text)
    if not options.no_docs:
        replace_section(HOME / "docs" / "rewards.md", "waiting", text)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
