"""Between the protocol's messages and the worker's own plain data. Beside the handler, which calls it, nobody reads messages."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable
from typing import TypeVar

from vard.v1 import worker_pb2 as pb
from vard_worker import objectives
from vard_worker.assessment import Quality
from vard_worker.errors import WorkerError, invalid
from vard_worker.kl_budget import KlBudget
from vard_worker.objectives import Objective
from vard_worker.planning.plan import Plan
from vard_worker.session import Description, Images, PolicyPhase, PolicyStep
from vard_worker.settings import (
    AdapterSettings,
    Load,
    ModelSettings,
    OpenSettings,
    SamplerSettings,
    TrajectorySettings,
    ValueSettings,
)
from vard_worker.trainer import Descent
from vard_worker.trajectories import Sampling, Target, TrajectorySpec

T = TypeVar("T")

DTYPES = {pb.FLOAT32: "float32", pb.BFLOAT16: "bfloat16"}
CHAINS = {
    pb.SamplerConfig.KIND_UNSPECIFIED: None,
    pb.SamplerConfig.DDIM: "ddim",
    pb.SamplerConfig.DDPM: "ddpm",
    pb.SamplerConfig.FLOW_SDE: "flow-sde",
    pb.SamplerConfig.FLOW_CPS: "flow-cps",
}
VALUES = {pb.ValueConfig.CONV: "conv", pb.ValueConfig.ENCODER: "encoder"}
INPUTS = {pb.ValueConfig.INPUT_UNSPECIFIED: "state", pb.ValueConfig.STATE: "state", pb.ValueConfig.LOOKAHEAD: "lookahead"}


def open_settings(request: pb.OpenRequest) -> OpenSettings:
    """Raises INVALID_ARGUMENT for an enum's value that is not known here; bounds are for ``checks``."""
    model, sampler, kept = request.model, request.sampler, request.trajectories
    return OpenSettings(
        session_id=request.session_id,
        model=ModelSettings(
            checkpoint=model.checkpoint,
            adapter=AdapterSettings(model.adapter.rank, model.adapter.alpha, tuple(model.adapter.targets)),
            revision=model.revision,
            dtype=known("model.dtype", pb.DType, model.dtype, DTYPES),
            device=model.device or "auto",
            height=model.height or None,
            width=model.width or None,
            gradient_checkpointing=model.gradient_checkpointing,
            offload=model.offload,
        ),
        sampler=SamplerSettings(
            steps=sampler.steps,
            guidance=sampler.guidance,
            kind=known("sampler.kind", pb.SamplerConfig.Kind, sampler.kind, CHAINS),
            eta=sampler.eta if sampler.HasField("eta") else None,
        ),
        value=value_settings(request.value) if request.HasField("value") else None,
        seed=request.seed,
        trajectories=TrajectorySettings(
            dtype=known("trajectories.dtype", pb.DType, kept.dtype, {pb.DTYPE_UNSPECIFIED: "float32", **DTYPES}),
            device=kept.device or "model",
        ),
    )


def value_settings(value: pb.ValueConfig) -> ValueSettings:
    return ValueSettings(
        kind=known("value.kind", pb.ValueConfig.Kind, value.kind, VALUES),
        width=value.width or None,
        input=known("value.input", pb.ValueConfig.Input, value.input, INPUTS),
        prompt=not value.without_prompt,
    )


def sampling(request: pb.SampleRequest) -> Sampling:
    return Sampling(specs(request.trajectories), request.batch, request.retain, request.measure_kl)


def specs(trajectories: Iterable[pb.TrajectorySpec]) -> tuple[TrajectorySpec, ...]:
    return tuple(TrajectorySpec(spec.id, spec.prompt, spec.seed) for spec in trajectories)


def kl_budget(request: pb.ImprovePolicyRequest) -> KlBudget | None:
    if not request.HasField("kl_budget"):
        return None
    budget = request.kl_budget
    return KlBudget(budget.aim, Sampling(specs(budget.probes), budget.batch, measure_kl=True, drawn=False), budget.least)


def targets(messages: Iterable[pb.Target]) -> list[Target]:
    return [Target(target.trajectory_id, target.value) for target in messages]


def descent(request: pb.FitValueRequest | pb.ImprovePolicyRequest) -> Descent:
    last = request.final_learning_rate if isinstance(request, pb.ImprovePolicyRequest) else 0.0
    return Descent(request.steps, request.batch, request.learning_rate, request.max_gradient_norm, request.seed, last, request.micro_batch)


def objective(request: pb.ImprovePolicyRequest) -> Objective:
    """Raises INVALID_ARGUMENT for what is no registered objective, or not all that it takes."""
    trajectories = len(request.trajectory_ids)
    if not request.HasField("named"):
        raise invalid("named", f"missing; give one of the kinds {', '.join(sorted(objectives.OBJECTIVES))}")
    series = {name: list(one.values) for name, one in request.named.series.items()}
    return objectives.build(request.named.kind, dict(request.named.numbers), series, trajectories)


def policy_phase(phase: PolicyPhase) -> dict[str, object]:
    """The fields of an ``ImprovePolicyResponse``."""
    return {"steps": map(policy_step, phase.steps), "kl_weight": phase.eta, "probed_kl": phase.held.measured, "scale": phase.held.scale}


def policy_step(step: PolicyStep) -> pb.PolicyStep:
    return pb.PolicyStep(
        loss=step.loss,
        kl_per_trajectory=step.kl_per_trajectory,
        gradient_norm=step.gradient_norm,
        metrics=step.metrics,
    )


def image_chunk(images: Images) -> pb.ImageChunk:
    data = images.pixels.tobytes()
    return pb.ImageChunk(first=images.first, shape=images.pixels.shape, dtype=pb.UINT8, data=data, crc32=zlib.crc32(data), kl=images.kl)


def quality(of: Quality) -> pb.ValueQuality:
    return pb.ValueQuality(timestep=of.timestep, mse=of.mse, r2=of.r2, correlation=of.correlation)


def description(of: Description) -> pb.SessionDescription:
    return pb.SessionDescription(**{field.name: getattr(of, field.name) for field in dataclasses.fields(of)})


def load(request: pb.PlanRequest) -> Load:
    return Load(request.sample_batch, request.value_batch, request.policy_batch, request.trajectories, request.prompts or 1)


def plan(of: Plan) -> dict[str, object]:
    """The fields of a ``PlanResponse``."""
    fields = {field.name: getattr(of, field.name) for field in dataclasses.fields(of)}
    return fields | {"parts": [pb.PlanResponse.Part(**dataclasses.asdict(part)) for part in of.parts]}


def known(field: str, enum: object, value: int, names: dict[int, T]) -> T:
    """What an enum's value stands for. An open enum's may be one that this version does not know."""
    if value not in names:
        told = enum.Name(value) if value in enum.values() else value
        raise invalid(field, f"{told}; give one of {', '.join(enum.Name(known) for known in names)}")
    return names[value]


def error_message(error: WorkerError) -> pb.WorkerError:
    return pb.WorkerError(code=int(error.code), message=error.message, field=error.field)
