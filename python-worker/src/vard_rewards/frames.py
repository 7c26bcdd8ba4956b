"""Messages over a pipe: a kind of one letter, a length, and that many bytes. Nothing is pickled."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

HEADER = struct.Struct(">cQ")


def send(descriptor: int, kind: bytes, body: bytes = b"", wait: Callable[[], object] = lambda: None) -> None:
    """``wait`` returns once there is room in a pipe that does not block. Raises BrokenPipeError if nobody reads."""
    for part in (HEADER.pack(kind, len(body)), body):
        rest = memoryview(part)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                wait()


def receive(descriptor: int, wait: Callable[[], object] = lambda: None) -> tuple[bytes, bytearray] | None:
    """Kind and bytes; None where the other side has closed the pipe, be it within a message. ``wait`` returns once there is
    something to read in a pipe that does not block."""
    header = read(descriptor, HEADER.size, wait)
    if header is None:
        return None
    kind, length = HEADER.unpack(header)
    body = read(descriptor, length, wait)
    return None if body is None else (kind, body)


def read(descriptor: int, length: int, wait: Callable[[], object]) -> bytearray | None:
    """Exactly so many bytes; None if there are fewer."""
    whole = bytearray(length)
    rest = memoryview(whole)
    while rest:
        try:
            count = os.readv(descriptor, [rest])
        except BlockingIOError:
            wait()
            continue
        if not count:
            return None
        rest = rest[count:]
    return whole
