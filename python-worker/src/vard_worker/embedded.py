"""The door for Jep: the orchestrator's JVM calls the handler in this interpreter, from one thread."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from vard.v1 import worker_pb2 as pb
from vard_worker.errors import Cancellation, WorkerError
from vard_worker.handler import WorkerHandler
from vard_worker.translate import error_message


class EmbeddedCall:
    """One call under way."""

    def __init__(self, answers: Iterator[Message]) -> None:
        self._answers = answers

    def next(self) -> bytes | None:
        """The next serialised ``EmbeddedReply``, or None at the end. An error is the last reply."""
        try:
            answer = next(self._answers, None)
        except WorkerError as error:
            return pb.EmbeddedReply(error=error_message(error)).SerializeToString()
        return None if answer is None else pb.EmbeddedReply(response=answer.SerializeToString()).SerializeToString()

    def close(self) -> None:
        """Gives the call up. What it was to change stays unchanged."""
        self._answers.close()


class EmbeddedWorker:
    def __init__(self, threads: int) -> None:
        self._handler = WorkerHandler(threads)

    def call(self, method: str, request: bytes, cancelled: Cancellation) -> EmbeddedCall:
        """Starts the rpc ``method``; nothing is computed before ``next``. ``request`` is any bytes-like object."""
        return EmbeddedCall(self._handler.call(method, bytes(request), cancelled))
