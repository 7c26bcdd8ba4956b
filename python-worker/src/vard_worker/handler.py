"""The protocol: checks requests, keeps operation numbers, and maps them onto sessions. Both roads end here."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
import transformers
from google.protobuf.message import DecodeError, Message

from vard.v1 import worker_pb2 as pb
from vard_worker import __version__, checkpoint
from vard_worker.errors import WorkerError, invalid
from vard_worker.model import DTYPES
from vard_worker.session import Cancellation, LastChange, Session

log = logging.getLogger(__name__)

SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Method:
    """One rpc: its request's type, and what answers it."""

    request: type[Message]
    answer: Callable[[WorkerHandler, Message, Cancellation], Iterator[Message]]


class WorkerHandler:
    """Holds the sessions. Called from one thread at a time."""

    def __init__(self, threads: int) -> None:
        """``threads`` is how many a PyTorch operator may use; results are the same to the bit only for the same number."""
        torch.set_num_threads(threads)
        # cuBLAS asks for this, at its start, to be deterministic.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # A help in finding reads of memory that nobody wrote; it costs a pass over every new tensor.
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = False
        # A worker has no terminal: bars that others draw would only fill its log.
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        self.sessions: dict[str, Session] = {}

    def call(self, method: str, request: bytes, cancelled: Cancellation) -> Iterator[Message]:
        """Answers the rpc ``method``; raises WorkerError and nothing else."""
        try:
            spec = METHODS.get(method)
            if spec is None:
                raise invalid("method", f"{method!r} is none of {', '.join(METHODS)}")
            try:
                message = spec.request.FromString(request)
            except DecodeError as error:
                raise invalid("request", f"not a {spec.request.DESCRIPTOR.name}: {error}") from error
            yield from spec.answer(self, message, cancelled)
        except WorkerError:
            raise
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise WorkerError(
                pb.OUT_OF_MEMORY, f"out of memory in {method}: {error}; use smaller batches (sampler.batch, policy.batch, value.batch) or bfloat16"
            ) from error
        except Exception as error:
            log.exception("%s failed", method)
            raise WorkerError(pb.INTERNAL, f"{method} failed: {type(error).__name__}: {error}") from error

    # ------------------------------------------------------------------------------------------------ sessions

    def describe(self, request: pb.DescribeRequest, cancelled: Cancellation) -> Iterator[Message]:
        cuda = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
        yield pb.DescribeResponse(
            worker_version=__version__,
            python_version=platform.python_version(),
            torch_version=torch.__version__,
            diffusers_version=diffusers.__version__,
            devices=["cpu", *cuda],
            threads=torch.get_num_threads(),
            sessions=[session.describe() for session in self.sessions.values()],
            peak_memory_bytes=peak_memory(),
        )

    def open(self, request: pb.OpenRequest, cancelled: Cancellation) -> Iterator[Message]:
        self._check_new(request.session_id)
        check_open(request)
        started = time.monotonic()
        session = Session.open(request)
        self.sessions[request.session_id] = session
        yield pb.OpenResponse(session=session.describe(), seconds=time.monotonic() - started)

    def close(self, request: pb.CloseRequest, cancelled: Cancellation) -> Iterator[Message]:
        self._session(request.session_id)
        del self.sessions[request.session_id]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        yield pb.CloseResponse()

    def _session(self, session_id: str) -> Session:
        if session_id not in self.sessions:
            raise WorkerError(pb.UNKNOWN_SESSION, f"no session {session_id!r}; open or restore it first", "session_id")
        return self.sessions[session_id]

    def _check_new(self, session_id: str) -> None:
        if not SESSION_ID.fullmatch(session_id):
            raise invalid("session_id", f"{session_id!r}; give 1 to 64 letters, digits, '.', '_' and '-'")
        if session_id in self.sessions:
            raise WorkerError(pb.SESSION_EXISTS, f"session {session_id!r} exists; close it first, or choose another id", "session_id")

    # ------------------------------------------------------------------------------------------------ changes

    def _change(self, session: Session, request: Message, response: type[Message], do: Callable[[], Message]) -> Message:
        """Does a change once: answers a repeated request from memory, and refuses numbers out of order."""
        if self._is_repeated(session, request):
            return response.FromString(session.last.response)
        answer = do()
        self._count(session, request, answer)
        return answer

    @staticmethod
    def _is_repeated(session: Session, request: Message) -> bool:
        if request.operation == session.operation + 1:
            return False
        if request.operation == session.operation and digest(request) == session.last.digest:
            return True
        why = "was another request" if request.operation == session.operation else "is neither the last nor the next"
        raise WorkerError(
            pb.OUT_OF_ORDER, f"operation: {request.operation} {why}; this session's last change was {session.operation}", "operation"
        )

    @staticmethod
    def _count(session: Session, request: Message, response: Message) -> None:
        session.operation = request.operation
        session.last = LastChange(digest(request), response.SerializeToString())

    def sample(self, request: pb.SampleRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        if not request.trajectories:
            raise invalid("trajectories", "empty; name at least one")
        at_least("batch", request.batch, 1)
        ids = [trajectory.id for trajectory in request.trajectories]
        if not all(ids) or len(set(ids)) < len(ids):
            raise invalid("trajectories.id", "each needs an id of its own")
        if not request.retain:
            if request.operation:
                raise invalid("operation", f"{request.operation}, but without retain nothing changes; give 0")
            yield from self._sampled(session.sample(request, cancelled), len(ids))
        elif self._is_repeated(session, request):
            yield from self._sampled(session.sampled_again(request), len(ids))
        else:
            taken = [name for name in ids if name in session.trajectories]
            if taken:
                raise WorkerError(pb.TRAJECTORY_EXISTS, f"trajectory {taken[0]!r} is held already; release it, or choose another id", "trajectories.id")
            for part in self._sampled(session.sample(request, cancelled), len(ids)):
                if part.HasField("summary"):
                    self._count(session, request, part)
                yield part

    @staticmethod
    def _sampled(chunks: Iterator[pb.ImageChunk], images: int) -> Iterator[pb.SampleResponse]:
        started = time.monotonic()
        for chunk in chunks:
            yield pb.SampleResponse(images=chunk)
        yield pb.SampleResponse(summary=pb.SampleSummary(images=images, seconds=time.monotonic() - started))

    def release(self, request: pb.ReleaseRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)

        def do() -> Message:
            session.release(distinct("trajectory_ids", request.trajectory_ids))
            return pb.ReleaseResponse(held=len(session.trajectories))

        yield self._change(session, request, pb.ReleaseResponse, do)

    def evaluate(self, request: pb.EvaluateRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        check_targets(request.targets)
        at_least("batch", request.batch, 1)
        started = time.monotonic()
        by_state = session.evaluate(request, cancelled)
        yield pb.EvaluateResponse(by_state=by_state, seconds=time.monotonic() - started)

    def fit_value(self, request: pb.FitValueRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        check_targets(request.targets)
        check_steps(request)

        def do() -> Message:
            started = time.monotonic()
            losses = session.fit_value(request, cancelled)
            return pb.FitValueResponse(losses=losses, seconds=time.monotonic() - started)

        yield self._change(session, request, pb.FitValueResponse, do)

    def improve_policy(self, request: pb.ImprovePolicyRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        distinct("trajectory_ids", request.trajectory_ids)
        check_steps(request)
        finite("kl_weight", request.kl_weight, least=0.0)
        match request.WhichOneof("objective"):
            case "clipped_ratio":
                advantages = request.clipped_ratio.advantages
                if len(advantages) != len(request.trajectory_ids):
                    raise invalid(
                        "clipped_ratio.advantages", f"{len(advantages)} for {len(request.trajectory_ids)} trajectories; give one for each"
                    )
                for i, advantage in enumerate(advantages):
                    finite(f"clipped_ratio.advantages[{i}]", advantage)
                finite("clipped_ratio.clip", request.clipped_ratio.clip, above=0.0)
            case None:
                raise invalid("objective", "missing; give value or clipped_ratio")

        def do() -> Message:
            started = time.monotonic()
            steps = session.improve_policy(request, cancelled)
            return pb.ImprovePolicyResponse(steps=steps, seconds=time.monotonic() - started)

        yield self._change(session, request, pb.ImprovePolicyResponse, do)

    # ------------------------------------------------------------------------------------------------ storage

    def save(self, request: pb.SaveRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        started = time.monotonic()
        size = checkpoint.save(session, folder("path", request.path))
        yield pb.SaveResponse(bytes=size, seconds=time.monotonic() - started)

    def restore(self, request: pb.RestoreRequest, cancelled: Cancellation) -> Iterator[Message]:
        self._check_new(request.session_id)
        started = time.monotonic()
        session = checkpoint.restore(request.session_id, folder("path", request.path))
        self.sessions[request.session_id] = session
        yield pb.RestoreResponse(session=session.describe(), seconds=time.monotonic() - started)

    def export(self, request: pb.ExportRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        target = folder("path", request.path)
        try:
            target.mkdir(parents=True, exist_ok=True)
            file = session.model.export(target)
        except OSError as error:
            raise WorkerError(pb.STORAGE, f"{target} could not be written: {error}", "path") from error
        yield pb.ExportResponse(file=str(file), sha256=checkpoint.sha256(file))


METHODS: dict[str, Method] = {
    "Describe": Method(pb.DescribeRequest, WorkerHandler.describe),
    "Open": Method(pb.OpenRequest, WorkerHandler.open),
    "Sample": Method(pb.SampleRequest, WorkerHandler.sample),
    "Evaluate": Method(pb.EvaluateRequest, WorkerHandler.evaluate),
    "FitValue": Method(pb.FitValueRequest, WorkerHandler.fit_value),
    "ImprovePolicy": Method(pb.ImprovePolicyRequest, WorkerHandler.improve_policy),
    "Release": Method(pb.ReleaseRequest, WorkerHandler.release),
    "Save": Method(pb.SaveRequest, WorkerHandler.save),
    "Restore": Method(pb.RestoreRequest, WorkerHandler.restore),
    "Export": Method(pb.ExportRequest, WorkerHandler.export),
    "Close": Method(pb.CloseRequest, WorkerHandler.close),
}


# ------------------------------------------------------------------------------------------------------- checks


def check_open(request: pb.OpenRequest) -> None:
    model, sampler = request.model, request.sampler
    if not model.checkpoint:
        raise invalid("model.checkpoint", "empty; give a folder in diffusers format or a hub id")
    if model.dtype not in DTYPES:
        raise invalid("model.dtype", f"{pb.DType.Name(model.dtype)}; give FLOAT32 or BFLOAT16")
    at_least("model.adapter.rank", model.adapter.rank, 1)
    finite("model.adapter.alpha", model.adapter.alpha, above=0.0)
    if not model.adapter.targets:
        raise invalid("model.adapter.targets", "empty; name ends of the network's module names, as to_q")
    if sampler.kind not in (pb.SamplerConfig.DDIM, pb.SamplerConfig.DDPM):
        raise invalid("sampler.kind", f"{sampler.kind}; give DDIM or DDPM")
    at_least("sampler.steps", sampler.steps, 1)
    finite("sampler.guidance", sampler.guidance, least=1.0)
    finite("sampler.eta", sampler.eta, least=0.0)
    if sampler.eta > 1:
        raise invalid("sampler.eta", f"{sampler.eta:g}; give a number from 0 to 1")
    if request.HasField("value"):
        if request.value.kind not in (pb.ValueConfig.CONV, pb.ValueConfig.ENCODER):
            raise invalid("value.kind", f"{request.value.kind}; give CONV or ENCODER")
        if request.value.width < 0 or request.value.width % 8:
            raise invalid("value.width", f"{request.value.width} is no multiple of 8; give one, or 0 for the default")


def check_steps(request: pb.FitValueRequest | pb.ImprovePolicyRequest) -> None:
    at_least("steps", request.steps, 1)
    at_least("batch", request.batch, 1)
    finite("learning_rate", request.learning_rate, above=0.0)
    finite("max_gradient_norm", request.max_gradient_norm, least=0.0)


def check_targets(targets: list[pb.Target]) -> None:
    distinct("targets.trajectory_id", [target.trajectory_id for target in targets])
    for i, target in enumerate(targets):
        finite(f"targets[{i}].value", target.value)


def at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise invalid(field, f"{value} is below {least}")


def finite(field: str, value: float, least: float = -math.inf, above: float = -math.inf) -> None:
    if not math.isfinite(value):
        raise invalid(field, f"{value} is not finite")
    if value < least:
        raise invalid(field, f"{value:g} is below {least:g}")
    if value <= above:
        raise invalid(field, f"{value:g} is not above {above:g}")


def distinct(field: str, ids: list[str]) -> list[str]:
    if not ids:
        raise invalid(field, "empty; name at least one trajectory")
    if len(set(ids)) < len(ids):
        raise invalid(field, "a trajectory is named twice")
    return list(ids)


def folder(field: str, path: str) -> Path:
    if not path or "\0" in path:
        raise invalid(field, f"{path!r} is no folder's name")
    return Path(path)


def digest(request: Message) -> bytes:
    """Of what the request asks; a restored session may go by another id."""
    request = type(request).FromString(request.SerializeToString())
    request.ClearField("session_id")
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def peak_memory() -> int:
    """High-water mark of the process's resident memory, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
