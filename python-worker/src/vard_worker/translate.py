"""Between the protocol's messages and the worker's own plain data. Beside the handler, which calls it, nobody reads messages."""

from __future__ import annotations

from typing import TypeVar

from vard.v1 import worker_pb2 as pb
from vard_worker.errors import WorkerError, invalid
from vard_worker.settings import (
    AdapterSettings,
    ModelSettings,
    OpenSettings,
    SamplerSettings,
    TrajectorySettings,
    ValueSettings,
)

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
    return ValueSettings(known("value.kind", pb.ValueConfig.Kind, value.kind, VALUES), value.width or None)


def known(field: str, enum: object, value: int, names: dict[int, T]) -> T:
    """What an enum's value stands for. An open enum's may be one that this version does not know."""
    if value not in names:
        told = enum.Name(value) if value in enum.values() else value
        raise invalid(field, f"{told}; give one of {', '.join(enum.Name(known) for known in names)}")
    return names[value]


def error_message(error: WorkerError) -> pb.WorkerError:
    return pb.WorkerError(code=int(error.code), message=error.message, field=error.field)
