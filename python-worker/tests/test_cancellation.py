"""A call that is given up ends before its next step, and has changed nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from safetensors.torch import load_file

from conftest import Client, images, open_request, ratios, refused
from vard.v1 import worker_pb2 as pb
from vard.v1 import worker_pb2_grpc
from vard_serving.front import request
from vard_worker.checkpoint import ADAPTER, OPTIMIZERS, STATE, TRAJECTORIES, VALUE
from vard_worker.sampling import denoise
from vard_worker.server import Settings, start

IDS = ["a", "b", "c"]
TARGETS = {"a": 1.0, "b": -1.0, "c": 0.0}
STEPS = 7

CHANGES: dict[str, Callable[[Client], object]] = {
    "Sample": lambda client: client.sample(["x", "y"], batch=1, measure_kl=True),
    "FitValue": lambda client: client.fit(TARGETS, steps=STEPS, seed=3),
    "ImprovePolicy": lambda client: client.improve(IDS, steps=STEPS),
    "ImprovePolicy by ratios": lambda client: client.improve(IDS, steps=STEPS, named=ratios([1, 0, -1], clip=0.1)),
}
POLLS = {"Sample": 10, "FitValue": STEPS, "ImprovePolicy": STEPS, "ImprovePolicy by ratios": STEPS}
"""Steps of each, before each of which it asks: Sample denoises two batches in 5 steps."""


def trained(client: Client, session_id: str, checkpoint: Path) -> Client:
    trainee = Client(client.handler, session_id)
    trainee.open(checkpoint)
    trainee.sample(IDS)
    trainee.fit(TARGETS)
    trainee.improve(IDS)
    return trainee


def state(client: Client, folder: Path) -> dict[str, object]:
    """All that a session is made of, to the bit."""
    client.call("Save", pb.SaveRequest(session_id=client.session_id, path=str(folder)))
    tensors = {name: load_file(folder / name) for name in (ADAPTER, VALUE, OPTIMIZERS, TRAJECTORIES)}
    state = json.loads((folder / STATE).read_text())
    del state["settings"]["session_id"], state["last_response"]  # names it; has the seconds it took
    return state | {f"{name} {key}": tensor.numpy().tobytes() for name, part in tensors.items() for key, tensor in part.items()}


@pytest.mark.parametrize("method", CHANGES)
def test_it_asks_before_every_step(client: Client, tiny_sd: Path, method: str) -> None:
    trainee = trained(client, "s", tiny_sd)
    polls = []
    trainee.cancelled = lambda: polls.append(1) and False
    CHANGES[method](trainee)
    assert len(polls) >= POLLS[method]


@pytest.mark.parametrize("method", CHANGES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_a_change_that_was_cancelled_and_repeated_is_one_that_was_not(client: Client, tiny_sd: Path, tmp_path: Path, method: str, share: float) -> None:
    smooth, interrupted = (trained(client, name, tiny_sd) for name in ("smooth", "interrupted"))
    before = state(interrupted, tmp_path / "before")
    polls = iter(range(10**6))
    first = 1 + int(share * (POLLS[method] - 1))
    interrupted.cancelled = lambda: next(polls) >= first

    with refused(pb.CANCELLED):
        CHANGES[method](interrupted)

    interrupted.cancelled = lambda: False
    assert state(interrupted, tmp_path / "after") == before
    for trainee in (smooth, interrupted):
        CHANGES[method](trainee)
        trainee.improve(IDS, steps=2)
        trainee.fit(TARGETS, steps=2)
    assert state(interrupted, tmp_path / "interrupted") == state(smooth, tmp_path / "smooth")


def test_pairs_are_not_drawn_to_the_end_for_nobody(opened: Client) -> None:
    opened.sample(IDS)
    polls = iter(range(10**6))
    opened.cancelled = lambda: next(polls) >= 2
    started = time.monotonic()
    with refused(pb.CANCELLED):
        opened.fit({"a": 1.0}, steps=1_000_000)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("method", ["Open", "Restore"])
def test_a_session_whose_caller_has_gone_is_not_kept(client: Client, tiny_sd: Path, tmp_path: Path, method: str) -> None:
    client.open(tiny_sd)
    client.call("Save", pb.SaveRequest(session_id="s", path=str(tmp_path / "c")))
    polls = iter(range(10**6))
    client.cancelled = lambda: next(polls) >= 1
    with refused(pb.CANCELLED):
        if method == "Open":
            client.call("Open", open_request(tiny_sd, "other"))
        else:
            client.call("Restore", pb.RestoreRequest(session_id="other", path=str(tmp_path / "c")))
    assert list(client.handler.sessions) == ["s"]


# ------------------------------------------------------------------------------------------------ over the server


@pytest.fixture(scope="module")
def worker() -> Iterator[worker_pb2_grpc.WorkerServiceStub]:
    front = start(Settings())
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        yield worker_pb2_grpc.WorkerServiceStub(channel)
    front.stop()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each of the worker's denoising batches has begun its steps; every step is slowed to 150 ms."""
    begun: list[float] = []

    def slow(model: object, specs: list, sampling: object, kept: object, cancelled: Callable[[], bool], looks_ahead: bool) -> object:
        def asked() -> bool:
            time.sleep(0.15)
            if cancelled():
                return True
            begun.append(time.monotonic())
            return False

        return denoise(model, specs, sampling, kept, asked, looks_ahead)

    monkeypatch.setattr("vard_worker.session.denoise", slow)
    return begun


def sampling(session: str, images: int) -> pb.SampleRequest:
    specs = [pb.TrajectorySpec(id=f"t{i}", prompt="cat", seed=i) for i in range(images)]
    return pb.SampleRequest(session_id=session, operation=1, retain=True, trajectories=specs, batch=1)


def test_a_cancelled_sample_ends_within_two_steps(worker: worker_pb2_grpc.WorkerServiceStub, tiny_sd: Path, steps: list[float]) -> None:
    worker.Open(open_request(tiny_sd, "cancelled"))
    call = worker.Sample(sampling("cancelled", 1000))
    next(call)
    cancelled = time.monotonic()
    call.cancel()
    # Answered when the computing thread is free again.
    session = next(s for s in worker.Describe(pb.DescribeRequest()).sessions if s.session_id == "cancelled")
    assert (session.operation, list(session.trajectory_ids)) == (0, [])
    # One that had asked before the cancellation arrived, and one for a slow machine's way there.
    assert sum(begun > cancelled for begun in steps) <= 2
    assert images(list(worker.Sample(sampling("cancelled", 2)))).shape == (2, 32, 32, 3)
    worker.Close(pb.CloseRequest(session_id="cancelled"))


def test_a_cancelled_call_that_still_waits_for_its_turn_is_never_begun(worker: worker_pb2_grpc.WorkerServiceStub, tiny_sd: Path, steps: list[float]) -> None:
    worker.Open(open_request(tiny_sd, "busy"))
    busy = worker.Sample(sampling("busy", 1000))
    next(busy)
    waiting = worker.Open.future(open_request(tiny_sd, "waiting"))
    gone = threading.Event()
    waiting.add_done_callback(lambda _: gone.set())
    waiting.cancel()
    assert gone.wait(60)
    begun = len(steps)
    while len(steps) < begun + 2:  # Some time passes before its turn: what the client knows, the server hears of later.
        time.sleep(0.01)
    busy.cancel()
    assert [session.session_id for session in worker.Describe(pb.DescribeRequest()).sessions] == ["busy"]
    worker.Close(pb.CloseRequest(session_id="busy"))


def test_a_cancellation_that_comes_together_with_the_request_is_not_lost() -> None:
    """Both are there when the event loop looks: the call ends, and does not go on with the request."""

    class Context:
        def __init__(self) -> None:
            self.arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def read(self) -> bytes:
            return await self.arrived

    async def scenario() -> None:
        context = Context()
        call = asyncio.ensure_future(request(context, 60.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        context.arrived.set_result(b"request")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scenario())
