"""Failures that the caller is told of, each with a code of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import torch

LONGEST_MESSAGE = 2000
"""Characters. A message quotes the request, which may be large, and travels in a trailer, which may not."""


class Code(IntEnum):
    """The protocol's ``ErrorCode``, by the same names and numbers; worker.proto says what each means."""

    INVALID_ARGUMENT = 1
    UNKNOWN_SESSION = 2
    SESSION_EXISTS = 3
    OUT_OF_ORDER = 4
    UNKNOWN_TRAJECTORY = 5
    TRAJECTORY_EXISTS = 6
    MODEL_NOT_LOADABLE = 7
    CHECKPOINT_NOT_FOUND = 8
    CORRUPT_CHECKPOINT = 9
    UNSAFE_CHECKPOINT = 10
    NOT_FINITE = 11
    OUT_OF_MEMORY = 12
    CANCELLED = 13
    STORAGE = 14
    INTERNAL = 15
    INCONSISTENT = 16
    NEWER_STATE = 17


class WorkerError(Exception):
    """A request that could not be done. The session is as it was before the request.

    ``field`` names the request's field that is to blame, or is empty.
    """

    def __init__(self, code: Code, message: str, field: str = "") -> None:
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE // 2]} … {message[-LONGEST_MESSAGE // 2 :]}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class Cancelled(WorkerError):
    """The caller gave up; raised between two denoising or gradient steps."""

    def __init__(self) -> None:
        super().__init__(Code.CANCELLED, "the call was cancelled; the session is as it was before it")


Cancellation = Callable[[], bool]
"""Asked between denoising and gradient steps; True once the caller has given up."""


def stop_if(cancelled: Cancellation) -> None:
    if cancelled():
        raise Cancelled()


def invalid(field: str, message: str) -> WorkerError:
    return WorkerError(Code.INVALID_ARGUMENT, f"{field}: {message}", field)


def is_out_of_memory(error: Exception) -> bool:
    """PyTorch has a type for it on GPUs alone; its allocator on CPUs raises a plain RuntimeError."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
