"""Failures that the caller is told of, each with a code of the protocol."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vard.v1 import worker_pb2 as pb

LONGEST_MESSAGE = 2000
"""Characters. A message quotes the request, which may be large, and travels in a trailer, which may not."""


class WorkerError(Exception):
    """A request that could not be done. The session is as it was before the request.

    ``code`` is a ``vard.v1.ErrorCode``; ``field`` names the request's field that is to blame, or is empty.
    """

    def __init__(self, code: int, message: str, field: str = "") -> None:
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE // 2]} … {message[-LONGEST_MESSAGE // 2 :]}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def to_proto(self) -> pb.WorkerError:
        return pb.WorkerError(code=self.code, message=self.message, field=self.field)


class Cancelled(WorkerError):
    """The caller gave up; raised between two denoising or gradient steps."""

    def __init__(self) -> None:
        super().__init__(pb.CANCELLED, "the call was cancelled; the session is as it was before it")


Cancellation = Callable[[], bool]
"""Asked between denoising and gradient steps; True once the caller has given up."""


def stop_if(cancelled: Cancellation) -> None:
    if cancelled():
        raise Cancelled()


def invalid(field: str, message: str) -> WorkerError:
    return WorkerError(pb.INVALID_ARGUMENT, f"{field}: {message}", field)


def is_out_of_memory(error: Exception) -> bool:
    """PyTorch has a type for it on GPUs alone; its allocator on CPUs raises a plain RuntimeError."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
