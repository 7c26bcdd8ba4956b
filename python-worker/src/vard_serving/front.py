"""The gRPC server that the project's processes answer with: who gets in, how many at a time, and how long a call may stay silent.

A call is judged by its headers, before its message: whoever has no token is refused at once and takes nobody's place. Those
let in are counted, and each has to send its request within a while; what waits for it holds no thread. Health is answered
beside all that.

gRPC's own synchronous server has a thread for each call, waits there for the message, and counts calls before it knows whose
they are: a few callers that say nothing lock everybody out of it. So this is gRPC's asyncio server, on a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from vard_serving.process import KEEPALIVE, listen
from vard_serving.security import HEALTH_SERVICE, Security

Answer = Callable[[bytes, grpc.aio.ServicerContext], AsyncIterator[bytes]]
"""Answers a request's bytes with the bytes of one message, or of several. It is closed when its caller leaves."""

ARRIVAL = 20.0
"""Seconds in which a request has to have arrived. An image of 4 MiB takes that long at 2 Mbit/s."""
HEALTH_ARRIVAL = 5.0
STREAMS = 128
"""Calls at a time on one connection; a client keeps more to itself until there is room."""
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_concurrent_streams", STREAMS), *KEEPALIVE]


@dataclass
class Places:
    """How many calls there may be at a time. Counted on the event loop alone."""

    most: float
    taken: int = 0


class Front:
    """Serves from when it is made until it is stopped. Every method of ``service`` has its answer; health says that it serves."""

    def __init__(
        self,
        host: str,
        port: int,
        security: Security,
        service: str,
        answers: Mapping[str, Answer],
        calls: int,
        most_bytes: int,
        arrival: float = ARRIVAL,
    ) -> None:
        """``calls`` at a time, of messages up to ``most_bytes``; -1 for any. Raises ValueError."""
        security.check_host(host)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._thread.start()
        options = [("grpc.max_receive_message_length", most_bytes), ("grpc.max_send_message_length", most_bytes), *OPTIONS]
        places, health = Places(calls), Health(service)
        handlers = [
            methods(service, {name: handler(answer, places, arrival) for name, answer in answers.items()}),
            methods(
                HEALTH_SERVICE,
                {
                    "Check": handler(health.check, Places(float("inf")), HEALTH_ARRIVAL),
                    "Watch": handler(health.watch, Places(calls), HEALTH_ARRIVAL),
                },
            ),
        ]

        async def start() -> tuple[grpc.aio.Server, int]:
            server = grpc.aio.server(interceptors=security.interceptors(), options=options)
            server.add_generic_rpc_handlers(handlers)
            port_ = listen(server, host, port, security)
            await server.start()
            return server, port_

        self._server, self.port = asyncio.run_coroutine_threadsafe(start(), self._loop).result()

    def stop(self, grace: float | None = None) -> None:
        """Calls under way have so many seconds; none without."""
        asyncio.run_coroutine_threadsafe(self._server.stop(grace), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def methods(service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(service, handlers)


def handler(answer: Answer, places: Places, arrival: float) -> grpc.RpcMethodHandler:
    """Of a method with one request. To gRPC it is a stream of them, for then it hands the call over at its headers."""

    async def handle(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
        if places.taken >= places.most:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{places.most:g} calls at a time are answered: try again later")
        places.taken += 1
        try:
            async with aclosing(answer(await request(context, arrival), context)) as parts:
                async for part in parts:
                    await context.write(part)
        except DecodeError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not the message that it should be: {error}")
        finally:
            places.taken -= 1

    return grpc.stream_stream_rpc_method_handler(handle)


async def request(context: grpc.aio.ServicerContext, arrival: float) -> bytes:
    try:
        # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the request.
        async with asyncio.timeout(arrival):
            message = await context.read()
    except TimeoutError:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no request has arrived within {arrival:g} s of the call")
    if message is grpc.aio.EOF:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a request")
    return message


class Health:
    """``grpc.health.v1.Health`` of a server that serves as long as it answers at all."""

    def __init__(self, service: str) -> None:
        self._known = ("", service)

    async def check(self, request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        if self._status(request) == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service is served here")
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()

    async def watch(self, request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        yield health_pb2.HealthCheckResponse(status=self._status(request)).SerializeToString()
        # It does not change.
        await asyncio.Event().wait()

    def _status(self, request: bytes) -> int:
        known = health_pb2.HealthCheckRequest.FromString(request).service in self._known
        return health_pb2.HealthCheckResponse.SERVING if known else health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
