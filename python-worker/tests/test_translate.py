"""Messages and the worker's own plain data say the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import open_request, refused
from vard.v1 import worker_pb2 as pb
from vard_worker.errors import Code
from vard_worker.settings import TrajectorySettings, ValueSettings, from_json, to_json
from vard_worker.translate import open_settings


def test_the_codes_are_the_protocols() -> None:
    assert {code.name: int(code) for code in Code} == {name: number for name, number in pb.ErrorCode.items() if number}


def test_an_open_request_is_read_whole() -> None:
    request = open_request(Path("m"), model=pb.ModelConfig(height=64, width=32, gradient_checkpointing=True, offload=True, revision="r"))
    request.trajectories.CopyFrom(pb.TrajectoryConfig(dtype=pb.BFLOAT16, device="cpu"))
    settings = open_settings(request)
    model, sampler = settings.model, settings.sampler
    assert (model.checkpoint, model.revision, model.dtype, model.device) == ("m", "r", "float32", "cpu")
    assert (model.height, model.width, model.gradient_checkpointing, model.offload) == (64, 32, True, True)
    assert (model.adapter.rank, model.adapter.alpha, model.adapter.targets) == (4, 8.0, ("to_q", "to_k", "to_v", "to_out.0"))
    assert (sampler.kind, sampler.steps, sampler.guidance, sampler.eta) == ("ddim", 5, 3.0, 1.0)
    assert (settings.session_id, settings.value, settings.seed) == ("s", ValueSettings("conv", 16), 7)
    assert settings.trajectories == TrajectorySettings("bfloat16", "cpu")


def test_what_a_request_leaves_out_is_the_models_own() -> None:
    settings = open_settings(pb.OpenRequest(model=pb.ModelConfig(dtype=pb.FLOAT32)))
    assert (settings.sampler.kind, settings.sampler.eta, settings.value) == (None, None, None)
    assert (settings.model.height, settings.model.width, settings.model.device, settings.model.adapter.targets) == (None, None, "auto", ())
    assert settings.trajectories == TrajectorySettings("float32", "model")
    # An η of 0 was given, and is not the chain's own.
    assert open_settings(pb.OpenRequest(model=pb.ModelConfig(dtype=pb.FLOAT32), sampler=pb.SamplerConfig(eta=0.0))).sampler.eta == 0.0


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("model.dtype", pb.OpenRequest(model=pb.ModelConfig(dtype=99))),
        ("model.dtype", pb.OpenRequest()),
        ("sampler.kind", pb.OpenRequest(model=pb.ModelConfig(dtype=pb.FLOAT32), sampler=pb.SamplerConfig(kind=99))),
        ("value.kind", pb.OpenRequest(model=pb.ModelConfig(dtype=pb.FLOAT32), value=pb.ValueConfig())),
        ("trajectories.dtype", pb.OpenRequest(model=pb.ModelConfig(dtype=pb.FLOAT32), trajectories=pb.TrajectoryConfig(dtype=pb.UINT8))),
    ],
)
def test_an_unknown_enum_is_named(field: str, request_: pb.OpenRequest) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        open_settings(request_)
    assert caught.value.field == field


def test_settings_survive_json() -> None:
    settings = open_settings(open_request(Path("m")))
    for held in (settings, replace(settings, value=None)):
        assert from_json(json.loads(json.dumps(to_json(held)))) == held
