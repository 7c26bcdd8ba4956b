"""Callers that say nothing, at the door of a real worker and of a real reward: they lock nobody out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conftest import open_request
from test_rewards_server import SOURCES, TOKEN, serving
from vard.v1 import reward_pb2, worker_pb2, worker_pb2_grpc
from vard_serving.security import HEALTH, Security
from vard_worker.server import CALLS, Settings, start

SILENT = 200
CONNECTIONS = 4
AT_ONCE = 1.0
"""Seconds in which an answer has to come."""
AUTHORISED = [("authorization", f"Bearer {TOKEN}")]
WORKER = "/vard.v1.WorkerService/"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a worker in a process of its own."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "vard_worker", "serve", "--port", "0", "--threads", "1", "--ready-file", "ready.json", "--token-file", "token"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(SOURCES)}, stderr=log) as process:
        while not (folder / "ready.json").exists():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"127.0.0.1:{json.loads((folder / 'ready.json').read_text())['port']}"
        process.terminate()


class Silence:
    """A call whose headers are sent, and nothing else."""

    def __init__(self, channel: grpc.Channel, method: str, metadata: list[tuple[str, str]] | None = None) -> None:
        self._over = threading.Event()
        # As a stream, whose headers go out before the first message; on the wire it is the same.
        self.call = channel.stream_stream(method)(self._nothing(), metadata=metadata)

    def _nothing(self) -> Iterator[bytes]:
        self._over.wait()
        yield from ()

    def end(self) -> None:
        self._over.set()
        self.call.cancel()

    def code(self) -> grpc.StatusCode:
        """Waits for it."""
        with pytest.raises(grpc.RpcError):
            next(self.call)
        return self.call.code()


@contextmanager
def silences(address: str, methods: list[str], count: int, metadata: list[tuple[str, str]] | None = None) -> Iterator[list[Silence]]:
    with ExitStack() as stack:
        # Connections of their own, as strangers have.
        channels = [stack.enter_context(grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])) for _ in range(CONNECTIONS)]
        calls = [Silence(channels[i % CONNECTIONS], methods[i % len(methods)], metadata) for i in range(count)]
        for call in calls:
            stack.callback(call.end)
        time.sleep(0.5)  # Their headers are under way: nobody tells when they have come.
        yield calls


def answers_at_once(address: str, method: str, response: type) -> None:
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        asked = channel.unary_unary(method, response_deserializer=response.FromString)
        assert asked(b"", metadata=AUTHORISED, timeout=AT_ONCE)
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=AT_ONCE)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", [f"{WORKER}Describe", f"{WORKER}Sample", HEALTH, "/grpc.health.v1.Health/Watch", "/of.Nobody/Method"])
def test_silent_strangers_lock_nobody_out_of_a_worker(worker: str, method: str) -> None:
    with silences(worker, [method], SILENT) as strangers:
        for _ in range(3):
            answers_at_once(worker, f"{WORKER}Describe", worker_pb2.DescribeResponse)
        if method != HEALTH:
            assert {stranger.code() for stranger in strangers} == {grpc.StatusCode.UNAUTHENTICATED}


def test_silent_strangers_lock_nobody_out_of_a_reward(tmp_path: Path) -> None:
    with serving(tmp_path, "mine:red") as served:
        address, service = f"127.0.0.1:{served.port}", "/vard.v1.RewardService/"
        with silences(address, [f"{service}Score", HEALTH], SILENT):
            answers_at_once(address, f"{service}DescribeReward", reward_pb2.DescribeRewardResponse)


def test_silent_health_checks_end(worker: str) -> None:
    with silences(worker, [HEALTH], 8) as strangers:
        assert {stranger.code() for stranger in strangers} == {grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.fixture
def impatient() -> Iterator[str]:
    front = start(Settings(security=Security(token=TOKEN.encode()), arrival=1.0))
    yield f"127.0.0.1:{front.port}"
    front.stop()


def test_a_silent_call_that_was_let_in_ends_by_its_deadline_and_gives_its_place_back(impatient: str) -> None:
    begun = time.monotonic()
    with silences(impatient, [f"{WORKER}Open"], CALLS, AUTHORISED) as calls:
        with grpc.insecure_channel(impatient) as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=AT_ONCE)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        assert {call.code() for call in calls} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert time.monotonic() - begun < 10
    assert "no request has arrived within 1 s" in calls[0].call.details()
    answers_at_once(impatient, f"{WORKER}Describe", worker_pb2.DescribeResponse)


def test_more_calls_than_there_are_places_are_turned_away(impatient: str) -> None:
    with silences(impatient, [f"{WORKER}Open"], CALLS, AUTHORISED), grpc.insecure_channel(impatient) as channel, pytest.raises(grpc.RpcError) as refused:
        worker_pb2_grpc.WorkerServiceStub(channel).Describe(worker_pb2.DescribeRequest(), metadata=AUTHORISED, timeout=AT_ONCE)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"{CALLS} calls at a time" in refused.value.details()


def test_a_call_without_a_request_is_refused(impatient: str) -> None:
    with grpc.insecure_channel(impatient) as channel:
        call = channel.stream_stream(f"{WORKER}Describe")(iter(()), metadata=AUTHORISED)
        with pytest.raises(grpc.RpcError):
            next(call)
        assert call.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_an_error_comes_whole_in_its_trailer(impatient: str, tmp_path: Path) -> None:
    with grpc.insecure_channel(impatient) as channel, pytest.raises(grpc.RpcError) as refused:
        worker_pb2_grpc.WorkerServiceStub(channel).Open(open_request(tmp_path / ("x" * 250) / ("y" * 250) / ("z" * 250)), metadata=AUTHORISED)
    error = worker_pb2.WorkerError.FromString(dict(refused.value.trailing_metadata())["vard-error-bin"])
    assert error.code == worker_pb2.MODEL_NOT_LOADABLE
    assert error.message.startswith(refused.value.details()) and len(refused.value.details()) <= 500
