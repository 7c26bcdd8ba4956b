"""How a served process and its starter agree: the starter reads the port in a file that appears once the process serves,
and the process ends with its standard input, which the starter alone holds open. So it outlives no starter, however that
one ends."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import grpc

from vard_serving.security import Security, is_loopback

log = logging.getLogger(__name__)

KEEPALIVE = [
    # Clients may ask as often as they like whether the connection lives: gRPC answers such a ping from a thread of its
    # own, while Python computes for minutes, and a process that does not answer is stopped, or out of reach.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.max_pings_without_data", 0),
    # And a caller that is gone without a word no longer keeps the process busy.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


def listen(server: grpc.aio.Server, host: str, port: int, security: Security) -> int:
    """Gives the port."""
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    credentials = security.credentials()
    if credentials:
        return server.add_secure_port(f"{host}:{port}", credentials)
    if security.token and not is_loopback(host):
        log.warning("the token travels in the clear, to be read by whoever is on the way: give --tls-cert and --tls-key")
    return server.add_insecure_port(f"{host}:{port}")


def announce(ready_file: Path, port: int) -> None:
    beside = ready_file.with_name(ready_file.name + ".part")
    beside.write_text(json.dumps({"port": port, "pid": os.getpid()}))
    beside.rename(ready_file)


def told_to_stop(exit_with_stdin: bool) -> threading.Event:
    """Set at SIGTERM, SIGINT or, if asked for, the end of standard input."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # A terminal's Ctrl-C reaches the starter and this process alike. The starter still wants an answer: it cancels, saves,
    # and then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN if exit_with_stdin else lambda *_: stop.set())
    if exit_with_stdin:
        threading.Thread(target=lambda: (drain(sys.stdin.fileno()), stop.set()), name="stdin", daemon=True).start()
    return stop


def drain(descriptor: int) -> None:
    """Reads to the end. Not by Python's own buffer: its lock, held by a thread that reads, aborts an interpreter that exits."""
    while os.read(descriptor, 1 << 12):
        pass
