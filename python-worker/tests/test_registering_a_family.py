"""A model family that is registered from outside, and edits nothing: pixels that a linear network denoises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, DiffusionPipeline, StableDiffusionPipeline
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from conftest import STEPS, Client, open_request
from vard.v1 import worker_pb2 as pb
from vard_worker import families
from vard_worker.chains import noise_schedule
from vard_worker.families import Condition, Drawing, Drawn, Family, Part
from vard_worker.families.base import DIFFUSERS_WEIGHTS, Features

SIDE = 8


class LinearDenoiser(ModelMixin, ConfigMixin):
    """ε̂ of a gray image, as one matrix times its pixels and the timestep."""

    @register_to_config
    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.inside, self.outside = nn.Linear(side * side + 1, 32), nn.Linear(32, side * side)

    def forward(self, x_BCHW: Tensor, t: Tensor, return_dict: bool = True) -> tuple[Tensor]:
        time_B1 = (t.expand(len(x_BCHW)) / 1000).to(x_BCHW.dtype)[:, None]
        hidden = torch.tanh(self.inside(torch.cat([x_BCHW.flatten(1), time_B1], dim=1)))
        return (self.outside(hidden).view_as(x_BCHW),)


class LinearPipeline(DiffusionPipeline):
    def __init__(self, denoiser: LinearDenoiser, scheduler: DDPMScheduler) -> None:
        super().__init__()
        self.register_modules(denoiser=denoiser, scheduler=scheduler)

    @torch.no_grad()
    def __call__(self, generators: list[torch.Generator], steps: int, eta: float) -> Tensor:
        x = torch.cat([torch.randn(1, 1, SIDE, SIDE, generator=generator) for generator in generators])
        self.scheduler.set_timesteps(steps)
        for t in self.scheduler.timesteps:
            x = self.scheduler.step(self.denoiser(x, t)[0], t, x, eta=eta, generator=generators).prev_sample
        return x


class Linear(Family):
    name = "linear"
    pipeline_class = LinearPipeline
    parts = {
        "denoiser": Part("diffusers", ("LinearDenoiser",), DIFFUSERS_WEIGHTS, LinearDenoiser),
        "scheduler": Part("diffusers", noise_schedule.SUPPORTED),
    }
    network = "denoiser"
    process = "diffusion"
    scheduler_changes = {"clip_sample": False}
    targets = ("inside", "outside")
    prompted = False
    latent_shape, image_shape = (1, SIDE, SIDE), (SIDE, SIDE, 3)
    condition_width = None

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        return None

    def encode(self, prompts: list[str]) -> None:
        return None

    def tokens(self, condition: Condition | None) -> None:
        return None

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        return self.net(x_BCHW, t)[0]

    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        gray = ((x_BCHW / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return gray.expand(-1, -1, -1, 3).contiguous().numpy()

    def middle(self) -> tuple[Features, int]:
        raise NotImplementedError

    def draw(self, net: nn.Module, drawing: Drawing) -> Drawn:
        pipeline = LinearPipeline(net, drawing.scheduler)
        return Drawn(pipeline(drawing.generators, drawing.steps, drawing.eta), None)

    def save_lora(self, folder: Path, weights: dict[str, Tensor], metadata: dict[str, object]) -> None:
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights, unet_lora_adapter_metadata=metadata)

    def load_lora(self, net: nn.Module, file: Path) -> None:
        inject_adapter_in_model(LoraConfig(r=4, lora_alpha=8, target_modules=list(self.targets)), net)
        set_peft_model_state_dict(net, {name.removeprefix("unet."): tensor for name, tensor in load_file(file).items()})


@pytest.fixture
def linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(diffusers, "LinearDenoiser", LinearDenoiser, raising=False)
    monkeypatch.setattr(families, "FAMILIES", families.FAMILIES)
    families.register(Linear)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        LinearPipeline(LinearDenoiser(), DDPMScheduler()).save_pretrained(tmp_path / "linear")
    index = tmp_path / "linear/model_index.json"
    index.write_text(re.sub(r"[\w.]*test_registering_a_family", "diffusers", index.read_text()))
    yield tmp_path / "linear"
    del families.FAMILIES["LinearPipeline"]


def test_a_family_from_outside_is_trained_and_exported(client: Client, linear: Path, tmp_path: Path) -> None:
    request = open_request(linear)
    request.sampler.CopyFrom(pb.SamplerConfig(steps=STEPS, guidance=1.0))
    del request.model.adapter.targets[:]
    session = client.call("Open", request)[0].session
    assert (session.family, session.chain, list(session.targets)) == ("linear", "ddim", ["inside", "outside"])
    ids = ["a", "b", "c", "d"]
    before = client.sample(ids, prompts=("",))
    client.fit({name: float(i) for i, name in enumerate(ids)}, steps=20)
    client.improve(ids, steps=10, kl_weight=0.0)
    assert (client.sample(ids, retain=False, prompts=("",)) != before).any()
    assert Path(client.export(tmp_path / "export").file).is_file()


def test_a_pipeline_has_one_family(linear: Path) -> None:
    with pytest.raises(ValueError, match="registered already"):
        families.register(Linear)
