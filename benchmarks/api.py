"""A thousand watchers of one run, while others create, get and list: latencies, errors, and the server's memory.

./vard bench api [--watchers 1000] [--clients 8] [--seconds 30]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc

from chaos import Server, specification
from harness import HOME, machine, replace_section, table
from vard.v1 import run_pb2 as pb
from vard.v1 import run_pb2_grpc as rpc

WATCHERS_A_CHANNEL = 100
"""HTTP/2 connections are limited in streams; clients have one each in truth, but the streams are what costs."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard bench api", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8, help="that create, get and list, one call after the other")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--no-docs", action="store_true", help="only print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vard-api-") as folder:
        server = Server("local", Path(folder), VARD_SERVE_MAX_ACTIVE_RUNS="1000000")
        server.start()
        try:
            text = asyncio.run(measure(server, options))
        finally:
            server.stop()
    text = (
        f"`./vard bench api --watchers {options.watchers} --clients {options.clients} --seconds {options.seconds:g}` on {machine()}, clients and server on "
        f"the same machine, while a run trains on it.\n\n{text}"
    )
    print(text)
    if not options.no_docs:
        replace_section(HOME / "docs" / "reliability.md", "api", text)


async def measure(server: Server, options: argparse.Namespace) -> str:
    address = f"127.0.0.1:{server.grpc_port}"
    spec = json.dumps(specification("local", 1000))
    async with grpc.aio.insecure_channel(address) as channel:
        stub = rpc.RunServiceStub(channel)
        run = await stub.CreateRun(pb.CreateRunRequest(specification=spec), timeout=60)
        while (await stub.GetRun(pb.GetRunRequest(name=run.name), timeout=30)).last_sequence < 4:
            await asyncio.sleep(0.2)
        errors: Counter[str] = Counter()
        channels = [grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(-(-options.watchers // WATCHERS_A_CHANNEL))]
        last = [0] * options.watchers
        delays: list[float] = []
        watchers = [asyncio.create_task(watch(channels[i // WATCHERS_A_CHANNEL], run.name, i, last, delays, errors)) for i in range(options.watchers)]
        while min(last) == 0 and not errors:
            await asyncio.sleep(0.1)
        delays.clear()
        latencies: dict[str, list[float]] = {"CreateRun": [], "GetRun": [], "ListRuns": []}
        end = time.monotonic() + options.seconds
        await asyncio.gather(*(client(stub, run.name, spec, end, latencies, errors) for _ in range(options.clients)))
        # All must have seen what there was, before they are let go.
        newest = (await stub.GetRun(pb.GetRunRequest(name=run.name), timeout=30)).last_sequence
        patience = time.monotonic() + 30
        while min(last) < newest and time.monotonic() < patience:
            await asyncio.sleep(0.1)
        behind = sum(one < newest for one in last)
        memory = memory_of(server.process.pid)
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await stub.CancelRun(pb.CancelRunRequest(name=run.name), timeout=30)
        for one in channels:
            await one.close()
    rows = [row(name, values) for name, values in latencies.items()] + [row("event to a watcher", delays)]
    return (
        table(["call", "calls", "per second", "p50, ms", "p99, ms", "worst, ms"], [[r[0], r[1], f"{int(r[1]) / options.seconds:.0f}", *r[2:]] for r in rows])
        + f"\n\nErrors: {dict(errors) or 'none'}. Watchers that were behind at the end: {behind} of {options.watchers}. {memory}"
    )


async def watch(channel: grpc.aio.Channel, name: str, index: int, last: list[int], delays: list[float], errors: Counter[str]) -> None:
    """Counts a gap, a repetition and a broken stream as errors. The delay is from the event's own time, on the same clock."""
    try:
        async for event in rpc.RunServiceStub(channel).WatchRun(pb.WatchRunRequest(name=name)):
            if event.sequence != last[index] + 1:
                errors["out of sequence"] += 1
            last[index] = event.sequence
            delays.append(max(0.0, time.time() - event.time.ToNanoseconds() / 1e9))
    except grpc.aio.AioRpcError as error:
        errors[f"watch {error.code().name}"] += 1


async def client(stub: rpc.RunServiceStub, name: str, spec: str, end: float, latencies: dict[str, list[float]], errors: Counter[str]) -> None:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "CreateRun": lambda: stub.CreateRun(pb.CreateRunRequest(specification=spec, request_id=str(uuid.uuid4()), priority=-1), timeout=30),
        "GetRun": lambda: stub.GetRun(pb.GetRunRequest(name=name), timeout=30),
        "ListRuns": lambda: stub.ListRuns(pb.ListRunsRequest(page_size=50, filter="state = WAITING"), timeout=30),
    }
    while time.monotonic() < end:
        for method, call in calls.items():
            began = time.monotonic()
            try:
                await call()
                latencies[method].append(time.monotonic() - began)
            except grpc.aio.AioRpcError as error:
                errors[f"{method} {error.code().name}"] += 1


def row(name: str, seconds: list[float]) -> list[str]:
    if len(seconds) < 2:
        return [name, str(len(seconds)), "–", "–", "–"]
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return [name, str(len(seconds)), *(f"{1000 * value:.0f}" for value in (cuts[49], cuts[98], max(seconds)))]


def memory_of(pid: int) -> str:
    resident = int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)
    return f"The server's heap is bounded by -Xmx512m; its resident memory was {resident / 1024:.0f} MiB."


if __name__ == "__main__":
    main()
