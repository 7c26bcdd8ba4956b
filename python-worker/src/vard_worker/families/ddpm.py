"""Unconditional DDPM: a UNet on pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, StableDiffusionPipeline, UNet2DModel
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from vard_worker.chains import noise_schedule
from vard_worker.errors import invalid
from vard_worker.families import configs
from vard_worker.families.base import DIFFUSERS_WEIGHTS, Condition, Drawing, Drawn, Part
from vard_worker.families.latents import latent_size, to_uint8
from vard_worker.families.unet import UNetFamily
from vard_worker.finite import demand_finite

PREFIX = "unet."
METADATA = "lora_adapter_metadata"


class Unconditional(UNetFamily):
    """A ``DDPMPipeline``; its latents are the pixels."""

    name = "ddpm"
    pipeline_class = DDPMPipeline
    parts = {
        "unet": Part("diffusers", ("UNet2DModel",), DIFFUSERS_WEIGHTS, UNet2DModel),
        "scheduler": Part("diffusers", noise_schedule.SUPPORTED),
    }
    prompted = False

    def __init__(self, pipeline: DDPMPipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        if guidance != 1:
            raise invalid("sampler.guidance", f"{guidance:g}, but this model takes no prompt; give 1")
        super().__init__(pipeline, guidance, dtype)
        factor = 2 ** (len(self.net.config.block_out_channels) - 1)
        own = self.own_size()
        units = latent_size(height, width, factor, (0, 0))
        size = tuple(unit * factor or side for unit, side in zip(units, own, strict=True))
        self.latent_shape = (self.net.config.in_channels, *size)
        self.image_shape = (*size, 3)

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        configs.check_unconditional(root, checkpoint)

    @property
    def condition_width(self) -> None:
        return None

    def encode(self, prompts: list[str]) -> None:
        return None

    def tokens(self, condition: None) -> None:
        return None

    def call(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        return self.net(x_BCHW, t, return_dict=False)[0]

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        with self.autocast():
            return self.call(x_BCHW, t, condition).to(x_BCHW.dtype)

    @torch.no_grad()
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        demand_finite("sampling", [("an image", x_BCHW)], "use float32, or go back to an earlier checkpoint")
        images = (x_BCHW.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return np.repeat(to_uint8(images), 3 // images.shape[-1], axis=-1)

    def draw(self, net: nn.Module, drawing: Drawing) -> Drawn:
        ddim = isinstance(drawing.scheduler, DDIMScheduler)
        pipeline = (DDIMPipeline if ddim else DDPMPipeline)(unet=net, scheduler=drawing.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        eta = {"eta": drawing.eta} if ddim else {}
        images = pipeline(len(drawing.generators), drawing.generators, num_inference_steps=drawing.steps, output_type="np", **eta).images
        return Drawn(torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device), None)

    def comparable(self, x_BCHW: Tensor, images: np.ndarray) -> Drawn:
        return Drawn((x_BCHW / 2 + 0.5).clamp(0, 1), None)

    def save_lora(self, folder: Path, weights: dict[str, Tensor], metadata: dict[str, object]) -> None:
        """In the format of pipelines that have a method for it."""
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights, unet_lora_adapter_metadata=metadata)

    def load_lora(self, net: nn.Module, file: Path) -> None:
        """As docs/own-checkpoint.md and examples/use_lora.py do it: this pipeline has no ``load_lora_weights``."""
        with safe_open(file, "pt") as opened:
            told = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
        inject_adapter_in_model(LoraConfig(**{key.removeprefix(PREFIX): value for key, value in told.items()}), net)
        result = set_peft_model_state_dict(net, {name.removeprefix(PREFIX): tensor for name, tensor in load_file(file).items()})
        if result.unexpected_keys:
            raise ValueError(f"keys of no module: {result.unexpected_keys[:3]}")
