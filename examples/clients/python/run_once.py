"""A client of a vard server: asks for a run, watches it to its end, and downloads the LoRA.

    ./vard python examples/clients/python/run_once.py examples/emoji-compressibility.yaml --prompts examples/emoji-prompts.txt

All that it knows of vard is what protoc makes of vard/v1/run.proto: README.md. VARD_TOKEN holds the token, where the server wants one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc

from vard.v1 import run_pb2 as pb
from vard.v1.run_pb2_grpc import RunServiceStub

PATIENCE = 30  # seconds, for calls that answer once

# What a server that ends, or a connection that breaks, leaves us with. We cancel nothing ourselves.
LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


class Client:
    """RunService, over connections that may be lost."""

    def __init__(self, channel: grpc.Channel, token: str | None) -> None:
        self._service = RunServiceStub(channel)
        self._metadata = [("authorization", f"Bearer {token}")] if token else []

    def create(self, specification: str, overrides: list[str]) -> pb.Run:
        """Makes one run, however often the request has to be sent: its id tells the server that it is the same."""
        request = pb.CreateRunRequest(specification=specification, overrides=overrides, request_id=str(uuid.uuid4()))
        for wait in (0.5, 1, 2, 4, None):
            try:
                return self._service.CreateRun(request, metadata=self._metadata, timeout=PATIENCE)
            except grpc.RpcError as error:
                if error.code() not in LOST or wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")

    def get(self, name: str) -> pb.Run:
        return self._service.GetRun(pb.GetRunRequest(name=name), metadata=self._metadata, timeout=PATIENCE)

    def watch(self, name: str) -> Iterator[pb.RunEvent]:
        """Each event once, to the run's end: a new connection begins after the last event that was seen."""
        seen, wait = 0, 0.25
        while True:
            try:
                request = pb.WatchRunRequest(name=name, after_sequence=seen)
                for event in self._service.WatchRun(request, metadata=self._metadata):
                    seen, wait = event.sequence, 0.25
                    yield event
                return  # the stream ends with the run
            except grpc.RpcError as error:
                if error.code() not in LOST:
                    raise
                time.sleep(wait)
                wait = min(2 * wait, 30)

    def artifacts(self, name: str) -> Iterator[pb.Artifact]:
        token = ""
        while True:
            request = pb.ListArtifactsRequest(parent=name, page_token=token)
            page = self._service.ListArtifacts(request, metadata=self._metadata, timeout=PATIENCE)
            yield from page.artifacts
            token = page.next_page_token
            if not token:
                return

    def download(self, artifact: str, target: Path) -> None:
        """The file appears whole and with the right checksum, or not at all."""
        digest, checksum = hashlib.sha256(), None
        beside = target.with_name(f".{target.name}.part")
        try:
            with beside.open("wb") as file:
                for part in self._service.DownloadArtifact(pb.DownloadArtifactRequest(name=artifact), metadata=self._metadata):
                    digest.update(part.chunk)
                    file.write(part.chunk)
                    checksum = part.checksum.sha256 or checksum
            if digest.hexdigest() != checksum:
                raise OSError(f"{artifact} arrived damaged: SHA-256 {digest.hexdigest()} instead of {checksum}")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


def connect(server: str, authority: Path | None) -> grpc.Channel:
    # A run may be silent for long: only a ping tells that from a server that is gone.
    options = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 20_000)]
    if authority is None:
        return grpc.insecure_channel(server, options)
    return grpc.secure_channel(server, grpc.ssl_channel_credentials(authority.read_bytes()), options)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specification", type=Path, help="YAML, as docs/specification.md has it")
    parser.add_argument("--prompts", type=Path, help="a text file with a prompt a line: the server reads no file of ours")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="sets a key of the specification")
    parser.add_argument("--server", default=os.environ.get("VARD_SERVER", "127.0.0.1:50051"))
    parser.add_argument("--ca", type=Path, help="a PEM file with the server's authority, for TLS")
    parser.add_argument("--out", type=Path, default=Path("lora"), help="the folder for the LoRA")
    arguments = parser.parse_args()

    overrides = list(arguments.set)
    if arguments.prompts:
        lines = [line.strip() for line in arguments.prompts.read_text().splitlines()]
        prompts = [line for line in lines if line and not line.startswith("#")]
        overrides.append("prompts=" + json.dumps({"list": prompts}))  # JSON is YAML

    with connect(arguments.server, arguments.ca) as channel:
        client = Client(channel, os.environ.get("VARD_TOKEN"))
        try:
            run = client.create(arguments.specification.read_text(), overrides)
            print(run.name, flush=True)
            for event in client.watch(run.name):
                kind = event.WhichOneof("event")
                if kind == "iteration":
                    print(f"iteration {event.iteration.iteration}: reward {event.iteration.reward.mean:.4g}", flush=True)
                elif kind == "state_changed":
                    change = event.state_changed
                    print(pb.Run.State.Name(change.to).lower(), change.reason, flush=True)

            run = client.get(run.name)
            if run.state != pb.Run.DONE:
                print(f"{run.name}: {pb.Run.State.Name(run.state).lower()}: {run.reason}", file=sys.stderr)
                return 1
            arguments.out.mkdir(parents=True, exist_ok=True)
            prefix = f"{run.name}/artifacts/export/"
            for artifact in client.artifacts(run.name):
                if artifact.name.startswith(prefix):
                    target = arguments.out / Path(artifact.name).name
                    client.download(artifact.name, target)
                    print(target)
        except grpc.RpcError as error:
            print(f"{arguments.server}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
