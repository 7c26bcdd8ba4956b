"""Kills orchestrator and worker with SIGKILL at random moments of a run, and compares its end with an undisturbed one's.

    ./vard bench chaos [--kills 20] [--seed 1] [--roads local embedded]

A watcher over gRPC reconnects from the last event it saw. The kills' targets and waits follow from the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf import json_format

from harness import HOME, Json, example, machine, replace_section, table
from vard.v1 import run_pb2 as pb
from vard.v1 import run_pb2_grpc as rpc

OPERATIONAL = {"state_changed", "checkpointed", "recovered"}
"""Events that tell of the machinery; a run that is disturbed has more of them."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in each disturbed run")
    parser.add_argument("--seed", type=int, default=1, help="of targets and waits")
    parser.add_argument("--roads", nargs="+", default=["local", "embedded"], choices=["local", "embedded"])
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    rows = []
    for road in options.roads:
        with tempfile.TemporaryDirectory(prefix="vard-chaos-") as folder:
            plain = live(road, options, Path(folder) / "undisturbed", 0)
            killed = live(road, options, Path(folder) / "disturbed", options.kills)
        rows.append(compare(road, plain, killed))
        print(table(HEADER, rows), flush=True)
    text = (
        f"`./vard bench chaos --kills {options.kills} --seed {options.seed} --iterations {options.iterations}` on {machine()}: the example at small size ({options.iterations} iterations "
        "of 8 images, one thread), undisturbed and then with SIGKILL at random moments; seconds are on the clock.\n\n" + table(HEADER, rows)
    )
    print("\n" + text)
    if not options.no_docs:
        replace_section(HOME / "docs" / "reliability.md", "chaos", text)
    if any(row[-1] != "yes" for row in rows):
        raise SystemExit("the bar is not met")


HEADER = [
    "road", "kills", "of orchestrator", "of worker", "of both", "recoveries", "same LoRA", "same metrics", "rewards asked twice", "in flight at a kill",
    "events", "lost", "doubled", "undisturbed, s", "killed, s", "bar met",
]  # fmt: skip


def specification(road: str, iterations: int) -> Json:
    """The example at small size."""
    spec = example(threads=1)
    spec.pop("worker")
    spec["model"]["checkpoint"] = str(HOME / spec["model"]["checkpoint"])
    prompts = (HOME / spec["prompts"]["file"]).read_text().splitlines()
    spec["prompts"] = {"list": [line for line in prompts if line.strip() and not line.startswith("#")]}
    spec["sampler"]["steps"] = 10
    spec["algorithm"] |= {"iterations": iterations, "samples": 8}
    spec["algorithm"]["value"] |= {"steps": 10, "batch": 64}
    spec["algorithm"]["policy"] |= {"steps": 4, "batch": 16}
    spec["evaluate"] = {"every": 4, "images": 8}
    return spec


@dataclass
class Life:
    """What a run came to."""

    sha256: str
    metrics: list[str]
    sequences: list[int]
    recoveries: int
    asked_twice: int
    in_flight: int
    seconds: float
    kills: Counter[str] = field(default_factory=Counter)


class Server:
    """``vard serve``, which can be killed and started again."""

    def __init__(self, road: str, folder: Path, **settings: str) -> None:
        self.road, self.folder, self.settings = road, folder, settings
        folder.mkdir(parents=True, exist_ok=True)
        self.grpc_port, self.http_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        log = (self.folder / "serve.log").open("ab")
        arguments = ["--grpc-port", str(self.grpc_port), "--http-port", str(self.http_port), "--worker", self.road, "--ready-file", str(ready)]
        environment = os.environ | {"VARD_RUNS": str(self.folder / "runs")} | self.settings
        self.process = subprocess.Popen([HOME / "vard", "serve", *arguments], cwd=HOME, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not ready.exists():
            if self.process.poll() is not None:
                raise SystemExit("vard serve ended:\n" + (self.folder / "serve.log").read_text()[-2000:])
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Worker processes that this orchestrator started."""
        listing = subprocess.run(["ps", "-axo", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listing.splitlines()]
        return [int(pid) for pid, parent, command in rows if int(parent) == self.process.pid and "vard_worker" in command]

    def kill(self, target: str) -> bool:
        """Returns False where there is nothing to kill."""
        workers = self.workers() if target in ("worker", "both") else []
        if target == "worker" and not workers:
            return False
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if target in ("orchestrator", "both"):
            self.process.kill()
            self.process.wait()
            self.start()
        return True

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def stub(self) -> rpc.RunServiceStub:
        return rpc.RunServiceStub(grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}"))


class Watcher(threading.Thread):
    """Watches a run to its end, and reconnects from the last event it saw."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(daemon=True)
        self.server, self.name_, self.events = server, name, []

    def run(self) -> None:
        while True:
            try:
                last = self.events[-1].sequence if self.events else 0
                for event in self.server.stub().WatchRun(pb.WatchRunRequest(name=self.name_, after_sequence=last), timeout=600):
                    self.events.append(event)
                state = self.server.stub().GetRun(pb.GetRunRequest(name=self.name_), timeout=10).state
                if state in (pb.Run.DONE, pb.Run.FAILED, pb.Run.CANCELLED):
                    return
            except grpc.RpcError:
                time.sleep(0.2)


def live(road: str, options: argparse.Namespace, folder: Path, kills: int) -> Life:
    server = Server(road, folder)
    chance = random.Random(f"{options.seed} {road}")
    try:
        server.start()
        spec = json.dumps(specification(road, options.iterations))
        run = server.stub().CreateRun(pb.CreateRunRequest(specification=spec), timeout=60)
        began = time.monotonic()
        watcher = Watcher(server, run.name)
        watcher.start()
        counts: Counter[str] = Counter()
        targets = ["orchestrator", "worker", "both"] if road == "local" else ["orchestrator"]
        while watcher.is_alive() and counts.total() < kills:
            target = chance.choice(targets)
            watcher.join(chance.uniform(0.5, 14))
            if watcher.is_alive() and server.kill(target):
                counts[target] += 1
                print(f"{road}: kill {counts.total()} ({target}) after {time.monotonic() - began:.0f} s, {len(watcher.events)} events", flush=True)
        watcher.join()
        seconds = time.monotonic() - began
        end = server.stub().GetRun(pb.GetRunRequest(name=run.name), timeout=10)
        if end.state != pb.Run.DONE:
            raise SystemExit(f"the run ended as {pb.Run.State.Name(end.state)}: {end.reason}")
    finally:
        server.stop()
    kinds = Counter(event.WhichOneof("event") for event in watcher.events)
    asked_twice, in_flight = rewards(folder / "runs" / run.name.removeprefix("runs/") / "rewards.jsonl")
    return Life(
        end.export_sha256,
        [plain for event in watcher.events if (plain := without_times(event))],
        [event.sequence for event in watcher.events],
        kinds["recovered"],
        asked_twice,
        in_flight,
        seconds,
        counts,
    )


def without_times(event: pb.RunEvent) -> str:
    """The event's numbers alone; empty for events of the machinery."""
    if event.WhichOneof("event") in OPERATIONAL:
        return ""
    message = json_format.MessageToDict(event, preserving_proto_field_name=True)
    (kind,) = [name for name in message if name not in ("sequence", "time")]
    body = {key: value for key, value in message[kind].items() if key not in ("seconds", "time", "export", "run_id", "scoring")}
    scoring = message[kind].get("scoring", {})
    # Of how the scores were had, what they were counts.
    body["means"] = {part["name"]: part.get("mean", 0.0) for part in scoring.get("parts", [])}
    body["dropped"] = scoring.get("dropped", 0)
    return json.dumps({kind: body}, sort_keys=True)


def rewards(file: Path) -> tuple[int, int]:
    """Queries asked again after they were answered, and queries that a kill caught between the two."""
    answered: set[tuple[str, int]] = set()
    asked: Counter[tuple[str, int]] = Counter()
    twice = 0
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        query = (entry["round"], entry["index"])
        if entry["event"] == "answered":
            answered.add(query)
        else:
            twice += query in answered
            asked[query] += 1
    return twice, sum(count - 1 for count in asked.values())


def compare(road: str, plain: Life, killed: Life) -> list[str]:
    lost = max(killed.sequences) - len(set(killed.sequences))
    doubled = len(killed.sequences) - len(set(killed.sequences))
    same_lora, same_metrics = plain.sha256 == killed.sha256, plain.metrics == killed.metrics
    enough = killed.kills.total() >= 20
    met = same_lora and same_metrics and enough and killed.asked_twice == lost == doubled == 0
    return [
        road,
        str(killed.kills.total()),
        *(str(killed.kills[target]) for target in ("orchestrator", "worker", "both")),
        str(killed.recoveries),
        *("yes" if same else "NO" for same in (same_lora, same_metrics)),
        str(killed.asked_twice),
        str(killed.in_flight),
        str(len(killed.sequences)),
        str(lost),
        str(doubled),
        f"{plain.seconds:.0f}",
        f"{killed.seconds:.0f}",
        "yes" if met else "NO",
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
