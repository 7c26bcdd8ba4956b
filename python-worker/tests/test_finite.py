"""Numbers that are not finite are told where they appear: none becomes a picture, a score, a weight or a file."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import Client, refused
from test_checkpoint import rehash
from vard.v1 import worker_pb2 as pb
from vard_worker.checkpoint import sha256
from vard_worker.finite import not_finite

IDS = ["a", "b", "c", "d"]
TARGETS = {"a": 1.0, "b": -1.0, "c": 0.2, "d": 0.0}
HUGE = 3e38


def edited(model: Path, to: Path, file: str, tensor: str, number: float) -> Path:
    """A copy of the checkpoint with one tensor full of this number."""
    shutil.copytree(model, to)
    tensors = load_file(to / file)
    tensors[tensor] = torch.full_like(tensors[tensor], number)
    save_file(tensors, to / file, metadata={"format": "pt"})
    return to


WEIGHTS = {
    "unet": ("unet/diffusion_pytorch_model.safetensors", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"),
    "vae": ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.bias"),
    "text_encoder": ("text_encoder/model.safetensors", "final_layer_norm.weight"),
}


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("part", WEIGHTS)
def test_a_weight_that_is_not_finite_is_named_before_anything_is_drawn(client: Client, tiny_sd: Path, tmp_path: Path, part: str, number: float) -> None:
    file, tensor = WEIGHTS[part]
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(edited(tiny_sd, tmp_path / "model", file, tensor, number))
    assert f"{part}: " in caught.value.message and tensor in caught.value.message
    assert caught.value.field == "model.checkpoint"
    assert not client.handler.sessions


OVERFLOWS = {
    "the VAE": ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.weight", "made for fp16"),
    "the text encoder": ("text_encoder/model.safetensors", "final_layer_norm.weight", "text_encoder"),
    "sampling": ("unet/diffusion_pytorch_model.safetensors", "conv_out.weight", "sampler.guidance"),
}


@pytest.mark.parametrize("where", OVERFLOWS)
def test_a_model_that_overflows_is_refused_when_it_is_opened(client: Client, tiny_sd: Path, tmp_path: Path, where: str) -> None:
    file, tensor, cure = OVERFLOWS[where]
    with refused(pb.NOT_FINITE) as caught:
        client.open(edited(tiny_sd, tmp_path / "model", file, tensor, HUGE))
    assert caught.value.message.startswith(f"{where}: ")
    assert cure in caught.value.message


def test_an_unconditional_model_that_overflows_is_refused(client: Client, tiny_ddpm: Path, tmp_path: Path) -> None:
    model = edited(tiny_ddpm, tmp_path / "model", "unet/diffusion_pytorch_model.safetensors", "conv_out.weight", HUGE)
    with refused(pb.NOT_FINITE):
        client.open(model, sampler=pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_image_leaves_that_did_not_decode_to_numbers(opened: Client, number: float) -> None:
    """The latents are good; an infinite pixel would be clamped to white, and NaN cast to black."""
    with torch.no_grad():
        opened.handler.sessions["s"].model.family.pipeline.vae.decoder.conv_out.bias.fill_(number)
    with refused(pb.NOT_FINITE) as caught:
        opened.sample(IDS)
    assert "the VAE" in caught.value.message
    assert not opened.handler.sessions["s"].trajectories


def test_no_pixel_of_an_unconditional_model_is_made_of_nan(client: Client, tiny_ddpm: Path) -> None:
    client.open(tiny_ddpm, sampler=pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0))
    model = client.handler.sessions["s"].model
    with refused(pb.NOT_FINITE):
        model.decode(torch.full((1, *model.latent_shape), math.nan))


def test_a_value_that_is_not_finite_is_named_by_its_timestep(opened: Client) -> None:
    opened.sample(IDS)
    with torch.no_grad():
        opened.handler.sessions["s"].value.head.out.bias.fill_(math.nan)
    targets = [pb.Target(trajectory_id=name, value=value) for name, value in TARGETS.items()]
    with refused(pb.NOT_FINITE) as caught:
        opened.call("Evaluate", pb.EvaluateRequest(session_id="s", targets=targets, batch=4))
    assert "timestep 801" in caught.value.message
    with refused(pb.NOT_FINITE):
        opened.fit(TARGETS)


@pytest.mark.parametrize("network", ["value", "policy"])
def test_a_last_step_that_leaves_nan_behind_is_undone(opened: Client, network: str) -> None:
    """No loss is computed after it, which would show it."""
    opened.sample(IDS)
    session = opened.handler.sessions["s"]
    optimizer = getattr(session, f"{network}_optimizer")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    before = [parameter.detach().clone() for parameter in parameters]
    step = optimizer.step

    def spoil() -> None:
        step()
        with torch.no_grad():
            parameters[-1].flatten()[0] = math.nan

    optimizer.step = spoil
    with refused(pb.NOT_FINITE) as caught:
        opened.fit(TARGETS, steps=1) if network == "value" else opened.improve(IDS, steps=1)
    assert "learning-rate" in caught.value.message
    assert all(torch.equal(parameter, old) for parameter, old in zip(parameters, before, strict=True))


SPOILT = {
    "adapter.safetensors": lambda session: session.model.policies.parameters()[0],
    "value.safetensors": lambda session: session.value.stem.weight,
    "optimizers.safetensors": lambda session: session.value_optimizer.state[session.value.stem.weight]["exp_avg"],
    "trajectories.safetensors": lambda session: session.trajectories["a"].states,
}


@pytest.mark.parametrize("file", SPOILT)
def test_nothing_that_is_not_finite_is_saved_or_restored(opened: Client, tmp_path: Path, file: str) -> None:
    opened.sample(IDS)
    opened.fit(TARGETS)
    opened.call("Save", pb.SaveRequest(session_id="s", path=str(tmp_path / "good")))
    with torch.no_grad():
        SPOILT[file](opened.handler.sessions["s"]).flatten()[0] = math.nan
    with refused(pb.NOT_FINITE) as caught:
        opened.call("Save", pb.SaveRequest(session_id="s", path=str(tmp_path / "bad")))
    assert file in caught.value.message
    assert [folder.name for folder in tmp_path.iterdir()] == ["good"]

    tensors = load_file(tmp_path / "good" / file)
    name = sorted(tensors)[0]
    tensors[name].flatten()[0] = math.nan
    save_file(tensors, tmp_path / "good" / file)
    rehash(tmp_path / "good", file)
    with refused(pb.CORRUPT_CHECKPOINT) as caught:
        opened.call("Restore", pb.RestoreRequest(session_id="r", path=str(tmp_path / "good")))
    assert f"{name} in {file} is NaN or infinite" in caught.value.message


def test_no_adapter_that_is_not_finite_is_exported(opened: Client, tmp_path: Path) -> None:
    older = opened.export(tmp_path)
    with torch.no_grad():
        opened.handler.sessions["s"].model.policies.parameters()[0][0, 0] = math.nan
    for unchecked in (False, True):
        with refused(pb.NOT_FINITE) as caught:
            opened.call("Export", pb.ExportRequest(session_id="s", path=str(tmp_path), unchecked=unchecked))
        assert "lora_A" in caught.value.message
    assert sha256(Path(older.file)) == older.sha256


def test_large_numbers_are_finite() -> None:
    """Their sum is not."""
    assert not_finite([("large", torch.full((8,), HUGE)), ("whole", torch.arange(3)), ("half", torch.full((8,), 6e4, dtype=torch.float16))]) is None
    assert not_finite([("large", torch.full((8,), HUGE)), ("cancelling", torch.tensor([math.inf, -math.inf]))]) == "cancelling"
