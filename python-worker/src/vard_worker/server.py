"""The worker as a gRPC server.

One thread computes: PyTorch's results depend on the thread that its operators run on having the same number of helper
threads, and a GPU gains nothing from two. gRPC's own threads wait for it and send what it makes, so that sending
overlaps computing.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from vard.v1 import worker_pb2 as pb
from vard_serving.process import KEEPALIVE, announce, listen, told_to_stop
from vard_serving.security import Security
from vard_worker.errors import Cancelled, WorkerError
from vard_worker.handler import METHODS, WorkerHandler
from vard_worker.roots import Roots

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["WorkerService"]
MESSAGE_LIMIT = 64 << 20
CHUNKS_AHEAD = 2
"""Finished chunks that may wait for a slow reader before computing waits too."""
CALLS = 32
"""Calls at a time, with a thread each, so that a health check never waits behind them. More are turned away."""
LONGEST_DETAILS = 500
"""Characters of the status line. The whole message is in the trailer; both together must stay below the 8 KiB of
headers that clients take."""

STATUS = {
    pb.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    pb.UNKNOWN_SESSION: grpc.StatusCode.NOT_FOUND,
    pb.UNKNOWN_TRAJECTORY: grpc.StatusCode.NOT_FOUND,
    pb.CHECKPOINT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    pb.SESSION_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    pb.TRAJECTORY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    pb.OUT_OF_ORDER: grpc.StatusCode.FAILED_PRECONDITION,
    pb.MODEL_NOT_LOADABLE: grpc.StatusCode.FAILED_PRECONDITION,
    pb.UNSAFE_CHECKPOINT: grpc.StatusCode.FAILED_PRECONDITION,
    pb.CORRUPT_CHECKPOINT: grpc.StatusCode.DATA_LOSS,
    pb.OUT_OF_MEMORY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    pb.STORAGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    pb.INCONSISTENT: grpc.StatusCode.FAILED_PRECONDITION,
    pb.NOT_FINITE: grpc.StatusCode.ABORTED,
    pb.CANCELLED: grpc.StatusCode.CANCELLED,
    pb.INTERNAL: grpc.StatusCode.INTERNAL,
}


@dataclass
class Call:
    """A call on its way between gRPC's thread, which waits, and the computing thread, which answers."""

    method: str
    request: bytes
    cancelled: threading.Event = field(default_factory=threading.Event)
    answers: queue.Queue[Message | WorkerError | None] = field(default_factory=lambda: queue.Queue(CHUNKS_AHEAD))

    def give_up(self) -> None:
        self.cancelled.set()
        # Wakes gRPC's thread, if it waits for an answer that will not come.
        with suppress(queue.Full):
            self.answers.put_nowait(None)

    def put(self, answer: Message | WorkerError | None) -> None:
        """Hands an answer over; waits while the reader is behind. Raises Cancelled when there is no reader any more."""
        while not self.cancelled.is_set():
            try:
                return self.answers.put(answer, timeout=0.1)
            except queue.Full:
                continue
        raise Cancelled()


class Computing(threading.Thread):
    """The one thread that computes, fed by a queue."""

    def __init__(self, threads: int, roots: Roots) -> None:
        super().__init__(name="computing", daemon=True)
        self.calls: queue.Queue[Call] = queue.Queue()
        self._threads = threads
        self._roots = roots

    def run(self) -> None:
        try:
            handler = WorkerHandler(self._threads, self._roots)
            while True:
                self._answer(handler, self.calls.get())
        except BaseException:
            # Without this thread every call would wait for ever. A process that has ended is noticed.
            log.exception("the computing thread failed")
            os._exit(1)

    @staticmethod
    def _answer(handler: WorkerHandler, call: Call) -> None:
        try:
            for answer in handler.call(call.method, call.request, call.cancelled.is_set):
                call.put(answer)
            call.put(None)
        except WorkerError as error:
            try:
                call.put(error)
            except Cancelled:
                log.info("%s was cancelled", call.method)


@dataclass(frozen=True)
class Settings:
    """How a worker is started."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 for a free one."""
    threads: int = 1
    ready_file: Path | None = None
    """Written when it serves."""
    exit_with_stdin: bool = False
    security: Security = Security()
    roots: Roots = Roots()


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGINT or, if asked for, the end of standard input."""
    server, port = start(settings)
    if settings.ready_file:
        announce(settings.ready_file, port)
    told_to_stop(settings.exit_with_stdin).wait()
    server.stop(grace=0.5).wait()


def start(settings: Settings) -> tuple[grpc.Server, int]:
    """A server that answers, and its port."""
    settings.security.check_host(settings.host)
    computing = Computing(settings.threads, settings.roots)
    computing.start()
    server = grpc.server(
        ThreadPoolExecutor(max_workers=CALLS, thread_name_prefix="grpc"),
        interceptors=settings.security.interceptors(),
        maximum_concurrent_rpcs=CALLS,
        options=[
            ("grpc.max_receive_message_length", MESSAGE_LIMIT),
            ("grpc.max_send_message_length", MESSAGE_LIMIT),
            ("grpc.so_reuseport", 0),
            *KEEPALIVE,
        ],
    )
    server.add_generic_rpc_handlers([service(computing)])
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for name in ("", SERVICE.full_name):
        healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    port = listen(server, settings.host, settings.port, settings.security)
    server.start()
    log.info("serving on %s:%d with %d threads", settings.host, port, settings.threads)
    return server, port


def service(computing: Computing) -> grpc.GenericRpcHandler:
    """Every rpc of the service, as raw bytes in and messages out."""
    handlers = {}
    for method in SERVICE.methods:
        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        answer = stream(computing, method.name) if method.server_streaming else unary(computing, method.name)
        handlers[method.name] = make(answer, response_serializer=lambda message: message.SerializeToString())
    assert handlers.keys() == METHODS.keys()
    return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)


def stream(computing: Computing, method: str) -> Callable[[bytes, grpc.ServicerContext], Iterator[Message]]:
    def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[Message]:
        call = Call(method, request)
        if not context.add_callback(call.give_up):
            context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
        computing.calls.put(call)
        while (part := call.answers.get()) is not None:
            if isinstance(part, WorkerError):
                context.set_trailing_metadata([("vard-error-bin", part.to_proto().SerializeToString())])
                context.abort(STATUS[part.code], part.message[:LONGEST_DETAILS])
            yield part

    return answer


def unary(computing: Computing, method: str) -> Callable[[bytes, grpc.ServicerContext], Message]:
    parts = stream(computing, method)

    def answer(request: bytes, context: grpc.ServicerContext) -> Message:
        part = next(parts(request, context), None)
        if part is None:
            context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
        return part

    return answer
