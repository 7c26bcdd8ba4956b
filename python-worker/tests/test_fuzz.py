"""A worker's real server, asked all sorts of nonsense: it does not crash, has a defined answer to everything, and what it
refused has left no trace in its session.

``VARD_FUZZ_REQUESTS`` sets how many; ``VARD_FUZZ_SEED`` draws others.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from conftest import VARD, Client, images, open_request, ratios
from vard.v1 import worker_pb2 as pb
from vard_worker.handler import METHODS
from vard_worker.server import SERVICE

REQUESTS = int(os.environ.get("VARD_FUZZ_REQUESTS", "300"))
SEED = int(os.environ.get("VARD_FUZZ_SEED", "1"))
DEADLINE = 0.5
"""Seconds. What is lawful but long is given up, as an orchestrator would."""
SESSION = "fuzzed"

INTENDED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
}
"""No UNKNOWN, no INTERNAL, and not UNAVAILABLE, which a crash would be."""


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    channel: grpc.Channel
    log: Path

    def call(self, method: str, request: bytes, deadline: float | None = DEADLINE) -> list[bytes]:
        path = f"/{SERVICE.full_name}/{method}"
        streams = method == "Sample"
        start = self.channel.unary_stream(path) if streams else self.channel.unary_unary(path)
        answer = start(request, timeout=deadline)
        return list(answer) if streams else [answer]

    def ask(self, method: str, request: Message) -> list[Message]:
        response = pb.DESCRIPTOR.services_by_name["WorkerService"].methods_by_name[method].output_type
        return [getattr(pb, response.name).FromString(part) for part in self.call(method, request.SerializeToString(), None)]

    def sessions(self) -> dict[str, pb.SessionDescription]:
        return {session.session_id: session for session in self.ask("Describe", pb.DescribeRequest())[0].sessions}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    (tmp_path / "storage").mkdir()
    return tmp_path / "storage"


@pytest.fixture
def worker(tiny_sd: Path, tmp_path: Path, storage: Path) -> Iterator[Worker]:
    """In a process of its own, so that a crash is one; confined, as its requests name all sorts of paths."""
    ready, log = tmp_path / "ready.json", tmp_path / "worker.log"
    command = [sys.executable, "-m", "vard_worker", "serve", "--port", "0", "--threads", "1", "--ready-file", str(ready), "--exit-with-stdin"]
    roots = ["--root", str(storage), "--model-root", str(tiny_sd)]
    source = os.pathsep.join(path for path in sys.path if path)
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *roots], stdin=subprocess.PIPE, stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": source})
    try:
        while not ready.exists():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        with grpc.insecure_channel(f"127.0.0.1:{json.loads(ready.read_text())['port']}") as channel:
            yield Worker(process, channel, log)
    finally:
        process.stdin.close()
        process.wait(60)


# ------------------------------------------------------------------------------------------------ requests

NUMBERS = [0, 1, 2, 3, 7, -1, 64, 1000, 4096, 4097, 10**6, 10**9, 2**31 - 1, -(2**31), 2**63, 2**64 - 1]
REALS = [0.0, -0.0, 1.0, 0.5, 1e-3, -1.0, 1e30, 1e300, 5e-324, math.nan, math.inf, -math.inf]
TEXTS = [
    "",
    "s",
    SESSION,
    "cat",
    "a",
    "b",
    "z",
    "to_q",
    "cpu",
    "auto",
    "cuda:1",
    "meta",
    "..",
    "/",
    "/etc/passwd",
    "owner/name",
    "\0",
    "\n",
    "%s{}",
    "🙂" * 50,
    "x" * 300,
    "x" * 100_000,
]
RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}


@dataclass
class Requests:
    """Random requests. Half-right ones get further than noise, so most are a right one, spoilt."""

    rng: random.Random
    model: Path
    storage: Path
    serial: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def next(self, session: pb.SessionDescription) -> tuple[str, bytes]:
        """Anything but the session's end, which would be lawful."""
        while True:
            method, request = self.any(session)
            if method != "Close" or not closes(request):
                return method, request

    def any(self, session: pb.SessionDescription) -> tuple[str, bytes]:
        method = self.rng.choice([*METHODS, "Nonsense"])
        if method == "Nonsense":
            return method, self.rng.randbytes(self.rng.randrange(100))
        kind = self.rng.random()
        if kind < 0.1:
            return method, self.rng.randbytes(self.rng.choice([1, 10, 100, 10_000]))
        request = self.right(method, session)
        if kind < 0.25:
            return method, request.SerializeToString()
        if kind < 0.55:
            return method, self.mutated(request.SerializeToString())
        for _ in range(self.rng.randint(1, 3)):
            self.spoil(request)
        return method, request.SerializeToString()

    def right(self, method: str, session: pb.SessionDescription) -> Message:
        held, operation = list(session.trajectory_ids), session.operation + 1
        some = self.rng.sample(held, self.rng.randint(0, len(held)))
        new = f"{SESSION}-{next(self.serial)}"
        steps = {"steps": self.rng.randint(1, 3), "batch": self.rng.randint(1, 4), "learning_rate": 1e-3, "seed": self.rng.getrandbits(64)}
        match method:
            case "Describe":
                return pb.DescribeRequest()
            case "Open":
                return open_request(self.model, new)
            case "Plan":
                return pb.PlanRequest(open=open_request(self.model, new), sample_batch=2, value_batch=4, policy_batch=2, trajectories=8, prompts=2)
            case "Sample":
                retain = self.rng.random() < 0.5 and len(held) < 20
                specs = [pb.TrajectorySpec(id=f"{new}-{i}", prompt="dog", seed=self.rng.getrandbits(64)) for i in range(self.rng.randint(1, 3))]
                return pb.SampleRequest(session_id=SESSION, operation=operation if retain else 0, retain=retain, trajectories=specs, batch=2, measure_kl=retain)
            case "Evaluate":
                return pb.EvaluateRequest(session_id=SESSION, targets=self.targets(some), batch=8)
            case "FitValue":
                return pb.FitValueRequest(session_id=SESSION, operation=operation, targets=self.targets(some), max_gradient_norm=1, **steps)
            case "ImprovePolicy":
                ratio = ratios([self.rng.gauss(0, 1) for _ in some], clip=0.1)
                named = self.rng.choice([VARD, ratio])
                return pb.ImprovePolicyRequest(session_id=SESSION, operation=operation, trajectory_ids=some, kl_weight=0.1, named=named, **steps)
            case "Release":
                return pb.ReleaseRequest(session_id=SESSION, operation=operation, trajectory_ids=some[:1])
            case "Save":
                return pb.SaveRequest(session_id=SESSION, path=str(self.storage / new))
            case "Restore":
                return pb.RestoreRequest(session_id=new, path=str(self.storage / self.rng.choice([new, "saved"])))
            case "Export":
                return pb.ExportRequest(session_id=SESSION, path=str(self.storage / "export"))
            case "Close":
                return pb.CloseRequest(session_id=new)
        raise AssertionError(method)

    def targets(self, ids: list[str]) -> list[pb.Target]:
        return [pb.Target(trajectory_id=name, value=self.rng.gauss(0, 1)) for name in ids]

    def mutated(self, data: bytes) -> bytes:
        """Flips, cuts, repeats and puts in bytes."""
        data = bytearray(data)
        for _ in range(self.rng.randint(1, 4)):
            at = self.rng.randrange(len(data) + 1)
            end = min(len(data), at + self.rng.randint(1, 8))
            match self.rng.randrange(5):
                case 0:
                    data[at:end] = bytes(byte ^ 1 << self.rng.randrange(8) for byte in data[at:end])
                case 1:
                    del data[at:end]
                case 2:
                    data[at:at] = data[at:end] * self.rng.choice([1, 2, 100])
                case 3:
                    data[at:at] = self.rng.randbytes(self.rng.randint(1, 8))
                case 4:
                    del data[at:]
        return bytes(data)

    def spoil(self, message: Message) -> None:
        """Sets one field, here or further in, to a value that is seldom right."""
        fields = message.DESCRIPTOR.fields
        if not fields:
            return
        descriptor = self.rng.choice(fields)
        if descriptor.is_repeated:
            entries = getattr(message, descriptor.name)
            if descriptor.message_type and descriptor.message_type.GetOptions().map_entry:
                value = entries["clip"]  # Of messages, this makes one.
                if isinstance(value, Message):
                    self.spoil(value)
                else:
                    entries["clip"] = self.value(descriptor.message_type.fields_by_name["value"])
            elif descriptor.message_type:
                self.spoil(self.rng.choice(entries) if entries and self.rng.random() < 0.7 else entries.add())
            else:
                entries.extend([self.value(descriptor)] * self.rng.choice([1, 2, 1000]))
        elif descriptor.message_type:
            part = getattr(message, descriptor.name)
            part.SetInParent()
            self.spoil(part)
        elif self.rng.random() < 0.15:
            message.ClearField(descriptor.name)
        else:
            setattr(message, descriptor.name, self.value(descriptor))

    def value(self, descriptor: FieldDescriptor) -> object:
        match descriptor.cpp_type:
            case FieldDescriptor.CPPTYPE_BOOL:
                return self.rng.random() < 0.5
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return self.rng.choice(REALS)
            case FieldDescriptor.CPPTYPE_STRING:
                return self.rng.choice([*TEXTS, str(self.storage / "saved"), str(self.storage / "../up"), str(self.model)])
            case integer:
                least, most = RANGES[integer]
                return max(least, min(most, self.rng.choice([*NUMBERS, self.rng.randint(least, most)])))


def closes(request: bytes) -> bool:
    try:
        return pb.CloseRequest.FromString(request).session_id == SESSION
    except DecodeError:
        return False


# ------------------------------------------------------------------------------------------------ the test


@pytest.mark.timeout(300 + REQUESTS)
def test_nonsense_is_refused_and_leaves_no_trace(worker: Worker, client: Client, tiny_sd: Path, storage: Path, tmp_path: Path) -> None:
    opening = open_request(tiny_sd, SESSION)
    worker.ask("Open", opening)
    first = pb.SampleRequest(session_id=SESSION, operation=1, retain=True, batch=8)
    first.trajectories.extend(pb.TrajectorySpec(id=name, prompt="cat", seed=i) for i, name in enumerate("abcdef"))
    worker.ask("Sample", first)
    worker.ask("Save", pb.SaveRequest(session_id=SESSION, path=str(storage / "saved")))

    requests, answers = Requests(random.Random(SEED), tiny_sd, storage), Counter()
    lawful: list[tuple[str, bytes]] = [("Sample", first.SerializeToString())]
    session = worker.sessions()[SESSION]
    for i in range(REQUESTS):
        method, request = requests.next(session)
        try:
            worker.call(method, request)
            answers["OK"] += 1
        except grpc.RpcError as error:
            answers[error.code().name] += 1
            told = f"request {i} of seed {SEED}: {method} {request[:1000]!r}: {error.code()} {error.details()}"
            assert error.code() in INTENDED, f"{told}\n{worker.log.read_text()[-4000:]}"
        sessions = worker.sessions()
        # Not by its answer, which may have come too late for the deadline.
        if sessions[SESSION].operation != session.operation:
            lawful.append((method, request))
        session = sessions[SESSION]
        if len(sessions) > 4:
            for other in sessions.keys() - {SESSION}:
                worker.ask("Close", pb.CloseRequest(session_id=other))
    print(f"{REQUESTS} requests of seed {SEED}: {dict(answers.most_common())}; {len(lawful)} changes were lawful")
    assert worker.process.poll() is None

    # One that was asked the lawful changes alone.
    twin = Client(client.handler, SESSION)
    twin.call("Open", opening)
    for method, request in lawful:
        list(client.handler.call(method, request, lambda: False))
    looking = pb.SampleRequest(session_id=SESSION, trajectories=[pb.TrajectorySpec(id="look", prompt="a red house", seed=9)], batch=1)
    assert (images(worker.ask("Sample", looking)) == images(twin.call("Sample", looking))).all()
    exported = worker.ask("Export", pb.ExportRequest(session_id=SESSION, path=str(storage / "end")))[0]
    assert exported.sha256 == twin.export(tmp_path / "twin").sha256
    assert session.trajectory_ids == twin.handler.sessions[SESSION].describe().trajectory_ids
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready.json", "storage", "twin", "worker.log"]
