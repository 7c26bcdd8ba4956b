"""What requests must satisfy before anything is done for them.

The bounds are far above what any run needs. They are there so that one wrong number is refused, and does not fill the
memory or keep the worker for a year.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from vard.v1 import worker_pb2 as pb
from vard_worker.chains import CHAINS
from vard_worker.errors import Code, WorkerError, invalid
from vard_worker.loading import DTYPES, kind_of

SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

MAX_SESSIONS = 16
MAX_RANK = 1024
MAX_TARGETS = 256
MAX_WIDTH = 1024
MAX_SIDE = 1 << 14
"""Pixels of an image's side."""
MAX_TRAJECTORIES = 1 << 16
MAX_PROMPT = 10_000
"""Characters; text encoders read some 77 tokens."""
MAX_ID = 256
MAX_BATCH = 4096
MAX_STEPS = 1_000_000
MAX_PAIRS = 1 << 24
"""steps · batch: the pairs are drawn before the first step."""
MAX_LEARNING_RATE = 100.0
"""AdamW moves each weight by about the rate. Far beyond, one step leaves weights that draw nothing any more, and the loss
that would show it is never computed."""


def check_open(request: pb.OpenRequest) -> None:
    model, sampler = request.model, request.sampler
    if not model.checkpoint:
        raise invalid("model.checkpoint", "empty; give a folder in diffusers format or a hub id")
    if model.dtype not in DTYPES:
        raise invalid("model.dtype", f"{name_of(pb.DType, model.dtype)}; give FLOAT32 or BFLOAT16")
    in_range("model.adapter.rank", model.adapter.rank, 1, MAX_RANK)
    finite("model.adapter.alpha", model.adapter.alpha, above=0.0)
    in_range("model.adapter.targets", len(model.adapter.targets), 0, MAX_TARGETS)
    if not all(model.adapter.targets):
        raise invalid("model.adapter.targets", "one is empty, which is every module's end; name ends of the network's module names, as to_q")
    if sampler.kind != pb.SamplerConfig.KIND_UNSPECIFIED and kind_of(sampler) not in CHAINS:
        raise invalid("sampler.kind", f"{kind_of(sampler)}; give one of {', '.join(CHAINS)}")
    in_range("model.height", model.height, 0, MAX_SIDE)
    in_range("model.width", model.width, 0, MAX_SIDE)
    at_least("sampler.steps", sampler.steps, 1)
    finite("sampler.guidance", sampler.guidance, least=1.0)
    finite("sampler.eta", sampler.eta, least=0.0)
    if sampler.eta > 1:
        raise invalid("sampler.eta", f"{sampler.eta:g}; give a number from 0 to 1")
    if request.HasField("value"):
        if request.value.kind not in (pb.ValueConfig.CONV, pb.ValueConfig.ENCODER):
            raise invalid("value.kind", f"{request.value.kind}; give CONV or ENCODER")
        in_range("value.width", request.value.width, 0, MAX_WIDTH)
        if request.value.width % 8:
            raise invalid("value.width", f"{request.value.width} is no multiple of 8; give one, or 0 for the default")


def check_sample(request: pb.SampleRequest) -> None:
    if not request.trajectories:
        raise invalid("trajectories", "empty; name at least one")
    in_range("trajectories", len(request.trajectories), 1, MAX_TRAJECTORIES)
    in_range("batch", request.batch, 1, MAX_BATCH)
    ids = [trajectory.id for trajectory in request.trajectories]
    if not all(ids) or len(set(ids)) < len(ids):
        raise invalid("trajectories.id", "each needs an id of its own")
    if max(map(len, ids)) > MAX_ID:
        raise invalid("trajectories.id", f"one has {max(map(len, ids))} characters; {MAX_ID} are the most")
    longest = max(len(trajectory.prompt) for trajectory in request.trajectories)
    if longest > MAX_PROMPT:
        raise invalid("trajectories.prompt", f"one has {longest} characters; {MAX_PROMPT} are the most")


def check_steps(request: pb.FitValueRequest | pb.ImprovePolicyRequest) -> None:
    in_range("steps", request.steps, 1, MAX_STEPS)
    in_range("batch", request.batch, 1, MAX_BATCH)
    if request.steps * request.batch > MAX_PAIRS:
        raise invalid("steps", f"{request.steps} of batch {request.batch} are more than {MAX_PAIRS} (trajectory, t) pairs; give several requests")
    finite("learning_rate", request.learning_rate, above=0.0)
    if request.learning_rate > MAX_LEARNING_RATE:
        raise invalid("learning_rate", f"{request.learning_rate:g} is above {MAX_LEARNING_RATE:g}")
    finite("max_gradient_norm", request.max_gradient_norm, least=0.0)


def check_improve(request: pb.ImprovePolicyRequest) -> None:
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


def check_targets(targets: Iterable[pb.Target]) -> None:
    distinct("targets.trajectory_id", [target.trajectory_id for target in targets])
    for i, target in enumerate(targets):
        finite(f"targets[{i}].value", target.value)


def check_new_session(session_id: str, sessions: Iterable[str]) -> None:
    if not SESSION_ID.fullmatch(session_id):
        raise invalid("session_id", f"{session_id!r}; give 1 to 64 letters, digits, '.', '_' and '-'")
    held = set(sessions)
    if session_id in held:
        raise WorkerError(Code.SESSION_EXISTS, f"session {session_id!r} exists; close it first, or choose another id", "session_id")
    if len(held) >= MAX_SESSIONS:
        raise invalid("session_id", f"{len(held)} sessions are open, each with a model of its own; close one first")


def at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise invalid(field, f"{value} is below {least}")


def in_range(field: str, value: int, least: int, most: int) -> None:
    at_least(field, value, least)
    if value > most:
        raise invalid(field, f"{value} is above {most}")


def finite(field: str, value: float, least: float = -math.inf, above: float = -math.inf) -> None:
    if not math.isfinite(value):
        raise invalid(field, f"{value} is not finite")
    if value < least:
        raise invalid(field, f"{value:g} is below {least:g}")
    if value <= above:
        raise invalid(field, f"{value:g} is not above {above:g}")


def distinct(field: str, ids: Iterable[str]) -> list[str]:
    ids = list(ids)
    if not ids:
        raise invalid(field, "empty; name at least one trajectory")
    if len(set(ids)) < len(ids):
        raise invalid(field, "a trajectory is named twice")
    return ids


def name_of(enum: object, value: int) -> str:
    """An open enum's value may be one that this version does not know."""
    return enum.Name(value) if value in enum.values() else str(value)
