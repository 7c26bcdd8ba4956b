"""Who may call a server: TLS and client certificates, a token, and where it listens."""

from __future__ import annotations

import codecs
import hmac
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

HEALTH_SERVICE = "grpc.health.v1.Health"
HEALTH = f"/{HEALTH_SERVICE}/Check"
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Security:
    """Raises ValueError, for the one who starts the server, where files or settings do not go together."""

    certificate: bytes = b""
    """The server's chain and its key, PEM; empty for no TLS."""
    key: bytes = b""
    client_authority: bytes = b""
    """Clients are let in with a certificate of these authorities alone; empty for any client."""
    token: bytes = b""
    """Clients are let in with this bearer token alone; empty for any client."""

    @staticmethod
    def of(certificate: Path | None, key: Path | None, client_authority: Path | None, token_file: Path | None) -> Security:
        if (certificate is None) != (key is None):
            raise ValueError("--tls-cert and --tls-key go together; give both, or neither")
        if client_authority and not certificate:
            raise ValueError("--client-ca is for TLS; give --tls-cert and --tls-key too")
        token = read(token_file).removeprefix(codecs.BOM_UTF8).strip()
        if token_file and len(token) < SHORTEST_TOKEN:
            raise ValueError(f"the token in {token_file} has {len(token)} characters; give it {SHORTEST_TOKEN} or more, at random")
        if not (token.isascii() and token.decode("ascii", "replace").isprintable()):
            raise ValueError(f"the token in {token_file} is more than one line of plain ASCII characters")
        return Security(read(certificate), read(key), read(client_authority), token)

    def check_host(self, host: str) -> None:
        """Refuses to listen where others than this machine's users can call, unless it can tell callers apart."""
        if not (self.token or self.client_authority or is_loopback(host)):
            raise ValueError(
                f"--host {host} can be reached from other machines, and whoever reaches it can use it: "
                "give --token-file, or --tls-cert, --tls-key and --client-ca; or listen on 127.0.0.1"
            )

    def credentials(self) -> grpc.ServerCredentials | None:
        """None for no TLS."""
        if not self.certificate:
            return None
        return grpc.ssl_server_credentials([(self.key, self.certificate)], self.client_authority or None, require_client_auth=bool(self.client_authority))

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        return [TokenInterceptor(self.token)] if self.token else []


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Lets calls pass that carry ``authorization: Bearer TOKEN``, and health checks: a probe has no secret to keep. Others are
    refused before their message has come."""

    def __init__(self, token: bytes) -> None:
        self._expected = b"Bearer " + token
        self._refuse = grpc.stream_stream_rpc_method_handler(refuse)

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler:
        if details.method == HEALTH or self._is_known(details):
            return await continuation(details)
        return self._refuse

    def _is_known(self, details: grpc.HandlerCallDetails) -> bool:
        given = [value for key, value in details.invocation_metadata if key == "authorization"]
        # In a time that tells nothing of how much of it was right.
        return len(given) == 1 and hmac.compare_digest(given[0].encode(), self._expected)


async def refuse(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this server asks for its token: authorization: Bearer TOKEN")


def is_loopback(host: str) -> bool:
    """Whether every address of the host is one that only this machine reaches."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host.strip("[]"), None)}
    except OSError as error:
        raise ValueError(f"--host {host}: {error}; give an address of this machine") from error
    return all(ipaddress.ip_address(address.split("%")[0]).is_loopback for address in addresses)


def read(file: Path | None) -> bytes:
    try:
        return file.read_bytes() if file else b""
    except OSError as error:
        raise ValueError(f"{file} could not be read: {error.strerror}") from error
