"""The worker as a gRPC server.

One thread computes: PyTorch's results depend on the thread that its operators run on having the same number of helper
threads, and a GPU gains nothing from two. The front's thread waits for it and sends what it makes, so that sending
overlaps computing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.message import Message

from vard.v1 import worker_pb2 as pb
from vard_serving.front import ARRIVAL, Answer, Front
from vard_serving.process import announce, told_to_stop
from vard_serving.security import Security
from vard_worker.errors import Cancelled, Code, WorkerError
from vard_worker.handler import METHODS, WorkerHandler
from vard_worker.roots import Roots
from vard_worker.translate import error_message

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["WorkerService"]
MESSAGE_LIMIT = 64 << 20
CHUNKS_AHEAD = 2
"""Finished chunks that may wait for a slow reader before computing waits too."""
CALLS = 32
"""Calls at a time, health checks aside. More are turned away."""
LONGEST_DETAILS = 500
"""Characters of the status line. The whole message is in the trailer; both together must stay below the 8 KiB of
headers that clients take."""

STATUS = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNKNOWN_SESSION: grpc.StatusCode.NOT_FOUND,
    Code.UNKNOWN_TRAJECTORY: grpc.StatusCode.NOT_FOUND,
    Code.CHECKPOINT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.SESSION_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Code.TRAJECTORY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Code.OUT_OF_ORDER: grpc.StatusCode.FAILED_PRECONDITION,
    Code.MODEL_NOT_LOADABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Code.UNSAFE_CHECKPOINT: grpc.StatusCode.FAILED_PRECONDITION,
    Code.CORRUPT_CHECKPOINT: grpc.StatusCode.DATA_LOSS,
    Code.OUT_OF_MEMORY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.STORAGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.INCONSISTENT: grpc.StatusCode.FAILED_PRECONDITION,
    Code.NEWER_STATE: grpc.StatusCode.FAILED_PRECONDITION,
    Code.NOT_FINITE: grpc.StatusCode.ABORTED,
    Code.CANCELLED: grpc.StatusCode.CANCELLED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
}


@dataclass
class Call:
    """A call on its way between the front's event loop, which waits, and the computing thread, which answers."""

    method: str
    request: bytes
    loop: asyncio.AbstractEventLoop
    cancelled: threading.Event = field(default_factory=threading.Event)
    answers: asyncio.Queue[Message | WorkerError | None] = field(default_factory=asyncio.Queue)
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(CHUNKS_AHEAD))

    async def take(self) -> Message | WorkerError | None:
        answer = await self.answers.get()
        self.room.release()
        return answer

    def put(self, answer: Message | WorkerError | None) -> None:
        """Hands an answer over; waits while the reader is behind. Raises Cancelled when there is no reader any more."""
        while not self.cancelled.is_set():
            if self.room.acquire(timeout=0.1):
                try:
                    self.loop.call_soon_threadsafe(self.answers.put_nowait, answer)
                except RuntimeError:  # The front has stopped.
                    break
                return
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
    arrival: float = ARRIVAL
    """Seconds in which a call's request has to have arrived."""


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGINT or, if asked for, the end of standard input."""
    front = start(settings)
    if settings.ready_file:
        announce(settings.ready_file, front.port)
    told_to_stop(settings.exit_with_stdin).wait()
    front.stop(grace=0.5)


def start(settings: Settings) -> Front:
    """What answers, as long as it is not stopped."""
    settings.security.check_host(settings.host)
    computing = Computing(settings.threads, settings.roots)
    computing.start()
    answers = {method.name: answer(computing, method.name) for method in SERVICE.methods}
    assert answers.keys() == METHODS.keys()
    front = Front(settings.host, settings.port, settings.security, SERVICE.full_name, answers, CALLS, MESSAGE_LIMIT, settings.arrival)
    log.info("serving on %s:%d with %d threads", settings.host, front.port, settings.threads)
    return front


def answer(computing: Computing, method: str) -> Answer:
    async def parts(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        call = Call(method, request, asyncio.get_running_loop())
        computing.calls.put(call)
        try:
            while (part := await call.take()) is not None:
                if isinstance(part, WorkerError):
                    error = error_message(part).SerializeToString()
                    await context.abort(STATUS[part.code], part.message[:LONGEST_DETAILS], (("vard-error-bin", error),))
                yield part.SerializeToString()
        finally:
            call.cancelled.set()

    return parts
