"""Who a worker lets in, over its real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from certificates import Identity, issue
from vard.v1 import worker_pb2 as pb
from vard.v1 import worker_pb2_grpc
from vard_serving.security import Security, is_loopback
from vard_worker.server import Settings, start

TOKEN = "a-token-of-some-length"
PATIENCE = 60.0


@contextmanager
def serving(security: Security) -> Iterator[str]:
    """The address of a worker."""
    front = start(Settings(security=security))
    try:
        yield f"localhost:{front.port}"
    finally:
        front.stop()


@pytest.fixture(scope="module")
def authority() -> Identity:
    return issue("authority")


@pytest.fixture(scope="module")
def server(authority: Identity) -> Identity:
    return issue("worker", authority)


def describe(channel: grpc.Channel, token: str | None = None) -> pb.DescribeResponse:
    metadata = [("authorization", token)] if token is not None else None
    return worker_pb2_grpc.WorkerServiceStub(channel).Describe(pb.DescribeRequest(), metadata=metadata, timeout=PATIENCE)


def tls(address: str, authority: Identity, own: Identity | None = None) -> grpc.Channel:
    pair = {"private_key": own.key, "certificate_chain": own.certificate} if own else {}
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.certificate, **pair))


def status(call: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    return call.value.code()


def test_the_right_token_is_let_in() -> None:
    with serving(Security(token=TOKEN.encode())) as address, grpc.insecure_channel(address) as channel:
        assert describe(channel, f"Bearer {TOKEN}").threads == 1


@pytest.mark.parametrize("given", [None, "", TOKEN, "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}", f"Basic {TOKEN}"])
def test_any_other_token_is_refused(given: str | None) -> None:
    with serving(Security(token=TOKEN.encode())) as address, grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            describe(channel, given)
        assert status(caught) == grpc.StatusCode.UNAUTHENTICATED
        assert TOKEN not in caught.value.details()


def test_streams_are_refused_without_a_token_too() -> None:
    with serving(Security(token=TOKEN.encode())) as address, grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            list(worker_pb2_grpc.WorkerServiceStub(channel).Sample(pb.SampleRequest(), timeout=PATIENCE))
        assert status(caught) == grpc.StatusCode.UNAUTHENTICATED


def test_health_needs_no_token() -> None:
    with serving(Security(token=TOKEN.encode())) as address, grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_tls_is_served(authority: Identity, server: Identity) -> None:
    with serving(Security(server.certificate, server.key)) as address, tls(address, authority) as channel:
        assert describe(channel).threads == 1


def test_a_client_that_does_not_know_the_authority_leaves(server: Identity) -> None:
    with serving(Security(server.certificate, server.key)) as address, tls(address, issue("another authority")) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            describe(channel)
        assert status(caught) == grpc.StatusCode.UNAVAILABLE


def test_tls_takes_no_plain_connection(server: Identity) -> None:
    with serving(Security(server.certificate, server.key)) as address, grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            describe(channel)
        assert status(caught) == grpc.StatusCode.UNAVAILABLE


def test_a_client_certificate_of_the_authority_is_let_in(authority: Identity, server: Identity) -> None:
    with (
        serving(Security(server.certificate, server.key, authority.certificate)) as address,
        tls(address, authority, issue("orchestrator", authority)) as channel,
    ):
        assert describe(channel).threads == 1


@pytest.mark.parametrize("kind", ["none", "of another authority"])
def test_any_other_client_is_refused(authority: Identity, server: Identity, kind: str) -> None:
    stranger = None if kind == "none" else issue("orchestrator", issue("another authority"))
    with serving(Security(server.certificate, server.key, authority.certificate)) as address, tls(address, authority, stranger) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            describe(channel)
        assert status(caught) == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_secret(host: str) -> None:
    Security().check_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_a_secret_is_asked_for(host: str, authority: Identity, server: Identity) -> None:
    assert not is_loopback(host)
    for open_to_all in (Security(), Security(server.certificate, server.key)):
        with pytest.raises(ValueError, match="--token-file"):
            open_to_all.check_host(host)
        with pytest.raises(ValueError, match="--token-file"):
            start(Settings(host=host, security=open_to_all))
    Security(token=TOKEN.encode()).check_host(host)
    Security(server.certificate, server.key, authority.certificate).check_host(host)


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x" * 100)
    with pytest.raises(ValueError, match="--tls-key go together"):
        Security.of(file, None, None, None)
    with pytest.raises(ValueError, match="--client-ca is for TLS"):
        Security.of(None, None, file, None)
    with pytest.raises(ValueError, match="could not be read: No such file"):
        Security.of(None, None, None, tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "\n", "short", "two lines of\nsome length", "schlüssel-von-einiger-länge"])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(ValueError, match="token"):
        Security.of(None, None, None, tmp_path / "token")


def test_the_token_is_the_files_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert Security.of(None, None, None, tmp_path / "token").token == TOKEN.encode()
