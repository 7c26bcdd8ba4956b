"""The protocol: checks requests, keeps operation numbers, and maps them onto sessions. Both roads end here."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import diffusers
import torch
import transformers
from google.protobuf.message import DecodeError, Message

from vard.v1 import worker_pb2 as pb
from vard_worker import __version__, canaries, checkpoint, translate
from vard_worker.checks import (
    MAX_BATCH,
    check_budget,
    check_descent,
    check_load,
    check_new_session,
    check_sampling,
    check_targets,
    distinct,
    finite,
    in_range,
)
from vard_worker.errors import Cancellation, Code, WorkerError, invalid, is_out_of_memory, stop_if
from vard_worker.planning.plan import plan
from vard_worker.roots import Roots
from vard_worker.session import Images, LastChange, Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """One rpc: its request's type, and what answers it."""

    request: type[Message]
    answer: Callable[[WorkerHandler, Message, Cancellation], Iterator[Message]]


class WorkerHandler:
    """Holds the sessions. Called from one thread at a time."""

    def __init__(self, threads: int, roots: Roots = Roots()) -> None:
        """``threads`` is how many a PyTorch operator may use; results are the same to the bit only for the same number."""
        self._roots = roots
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
            # It may have waited for its turn while its caller gave up.
            stop_if(cancelled)
            yield from spec.answer(self, message, cancelled)
        except WorkerError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise WorkerError(
                    Code.OUT_OF_MEMORY,
                    f"out of memory in {method}: {error}; use smaller batches (sampler.batch, policy.batch, value.batch) or bfloat16",
                ) from error
            log.exception("%s failed", method)
            raise WorkerError(Code.INTERNAL, f"{method} failed: {type(error).__name__}: {error}") from error

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
            sessions=[translate.description(session.describe()) for session in self.sessions.values()],
            peak_memory_bytes=peak_memory(),
        )

    def open(self, request: pb.OpenRequest, cancelled: Cancellation) -> Iterator[Message]:
        check_new_session(request.session_id, self.sessions)
        started = time.monotonic()
        session = Session.open(translate.open_settings(request), self._roots)
        canaries.try_out(session, cancelled)
        stop_if(cancelled)
        self.sessions[request.session_id] = session
        yield pb.OpenResponse(session=translate.description(session.describe()), seconds=time.monotonic() - started)

    def plan(self, request: pb.PlanRequest, cancelled: Cancellation) -> Iterator[Message]:
        load = translate.load(request)
        check_load(load)
        started = time.monotonic()
        told = plan(translate.open_settings(request.open), load, self._roots)
        yield pb.PlanResponse(**translate.plan(told), seconds=time.monotonic() - started)

    def close(self, request: pb.CloseRequest, cancelled: Cancellation) -> Iterator[Message]:
        self._session(request.session_id)
        del self.sessions[request.session_id]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        yield pb.CloseResponse()

    def _session(self, session_id: str) -> Session:
        if session_id not in self.sessions:
            raise WorkerError(Code.UNKNOWN_SESSION, f"no session {session_id!r}; open or restore it first", "session_id")
        return self.sessions[session_id]

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
        raise WorkerError(Code.OUT_OF_ORDER, f"operation: {request.operation} {why}; this session's last change was {session.operation}", "operation")

    @staticmethod
    def _count(session: Session, request: Message, response: Message) -> None:
        session.operation = request.operation
        session.last = LastChange(digest(request), response.SerializeToString())

    def sample(self, request: pb.SampleRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        sampling = translate.sampling(request)
        check_sampling(sampling)
        ids = [spec.id for spec in sampling.specs]
        if not request.retain:
            if request.operation:
                raise invalid("operation", f"{request.operation}, but without retain nothing changes; give 0")
            yield from self._sampled(session.sample(sampling, cancelled), len(ids))
        elif self._is_repeated(session, request):
            yield from self._sampled(session.sampled_again(sampling), len(ids))
        else:
            taken = [name for name in ids if name in session.trajectories]
            if taken:
                raise WorkerError(Code.TRAJECTORY_EXISTS, f"trajectory {taken[0]!r} is held already; release it, or choose another id", "trajectories.id")
            for part in self._sampled(session.sample(sampling, cancelled), len(ids)):
                if part.HasField("summary"):
                    self._count(session, request, part)
                yield part

    @staticmethod
    def _sampled(drawn: Iterator[Images], images: int) -> Iterator[pb.SampleResponse]:
        started = time.monotonic()
        for chunk in drawn:
            yield pb.SampleResponse(images=translate.image_chunk(chunk))
        yield pb.SampleResponse(summary=pb.SampleSummary(images=images, seconds=time.monotonic() - started))

    def release(self, request: pb.ReleaseRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)

        def do() -> Message:
            session.release(distinct("trajectory_ids", request.trajectory_ids))
            return pb.ReleaseResponse(held=len(session.trajectories))

        yield self._change(session, request, pb.ReleaseResponse, do)

    def evaluate(self, request: pb.EvaluateRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        targets = translate.targets(request.targets)
        check_targets(targets)
        in_range("batch", request.batch, 1, MAX_BATCH)
        started = time.monotonic()
        by_state = session.evaluate(targets, request.batch, cancelled)
        yield pb.EvaluateResponse(by_state=map(translate.quality, by_state), seconds=time.monotonic() - started)

    def fit_value(self, request: pb.FitValueRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        targets, descent = translate.targets(request.targets), translate.descent(request)
        check_targets(targets)
        check_descent(descent)

        def do() -> Message:
            started = time.monotonic()
            losses = session.fit_value(targets, descent, cancelled)
            return pb.FitValueResponse(losses=losses, seconds=time.monotonic() - started)

        yield self._change(session, request, pb.FitValueResponse, do)

    def improve_policy(self, request: pb.ImprovePolicyRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        ids, descent = distinct("trajectory_ids", request.trajectory_ids), translate.descent(request)
        check_descent(descent)
        finite("kl_weight", request.kl_weight, least=0.0)
        objective, budget = translate.objective(request), translate.kl_budget(request)
        if budget is not None:
            check_budget(budget)

        def do() -> Message:
            started = time.monotonic()
            phase = session.improve_policy(ids, objective, request.kl_weight, descent, cancelled, budget)
            return pb.ImprovePolicyResponse(**translate.policy_phase(phase), seconds=time.monotonic() - started)

        yield self._change(session, request, pb.ImprovePolicyResponse, do)

    # ------------------------------------------------------------------------------------------------ storage

    def save(self, request: pb.SaveRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        started = time.monotonic()
        size = checkpoint.save(session, self._roots.folder(request.path))
        yield pb.SaveResponse(bytes=size, seconds=time.monotonic() - started)

    def restore(self, request: pb.RestoreRequest, cancelled: Cancellation) -> Iterator[Message]:
        check_new_session(request.session_id, self.sessions)
        started = time.monotonic()
        session = checkpoint.restore(request.session_id, self._roots.folder(request.path), self._roots)
        stop_if(cancelled)
        self.sessions[request.session_id] = session
        yield pb.RestoreResponse(session=translate.description(session.describe()), seconds=time.monotonic() - started)

    def export(self, request: pb.ExportRequest, cancelled: Cancellation) -> Iterator[Message]:
        session = self._session(request.session_id)
        file = checkpoint.export(session, self._roots.folder(request.path), checked=not request.unchecked)
        yield pb.ExportResponse(file=str(file), sha256=checkpoint.sha256(file))


METHODS: dict[str, Method] = {
    "Describe": Method(pb.DescribeRequest, WorkerHandler.describe),
    "Plan": Method(pb.PlanRequest, WorkerHandler.plan),
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


def digest(request: Message) -> bytes:
    """Of what the request asks; a restored session may go by another id."""
    request = type(request).FromString(request.SerializeToString())
    request.ClearField("session_id")
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def peak_memory() -> int:
    """High-water mark of the process's resident memory, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
