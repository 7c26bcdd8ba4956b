"""DDPM on pixels: unconditional, or conditioned on classes."""

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
from vard_worker.families.latents import to_uint8
from vard_worker.families.unet import UNetFamily
from vard_worker.finite import demand_finite

PREFIX = "unet."
METADATA = "lora_adapter_metadata"


class Unconditional(UNetFamily):
    """A ``DDPMPipeline``; its latents are the pixels. Where its UNet embeds classes, a prompt is a class's number."""

    name = "ddpm"
    pipeline_class = DDPMPipeline
    parts = {
        "unet": Part("diffusers", ("UNet2DModel",), DIFFUSERS_WEIGHTS, UNet2DModel),
        "scheduler": Part("diffusers", noise_schedule.SUPPORTED),
    }
    prompted = False

    def __init__(self, pipeline: DDPMPipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        super().__init__(pipeline, guidance, dtype)
        self.classes: int = self.net.config.num_class_embeds or 0
        if self.classes:
            self.prompted, self.trial_prompts = True, ("0", str(self.classes - 1))
        size = self.own_size()
        for field, asked, own in (("model.height", height, size[0]), ("model.width", width, size[1])):
            if asked not in (0, own):
                raise invalid(field, f"{asked}; a DDPMPipeline draws its network's own size alone: give {own}, or leave it away")
        self.latent_shape = (self.net.config.in_channels, *size)
        self.image_shape = (*size, 3)

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        configs.check_unconditional(root, checkpoint)

    @property
    def condition_width(self) -> int | None:
        return self.net.class_embedding.weight.shape[1] if self.classes else None

    def encode(self, prompts: list[str]) -> Condition | None:
        """The classes' numbers, (B,). Raises INVALID_ARGUMENT for a prompt that is none."""
        if not self.classes:
            return None
        return {"classes": torch.tensor([self.class_of(prompt) for prompt in prompts], device=self.device)}

    def class_of(self, prompt: str) -> int:
        text = prompt.strip()
        if not (text.isascii() and text.isdecimal() and int(text) < self.classes):
            raise invalid("trajectories.prompt", f"{prompt[:100]!r} is no class of this model; its prompts are numbers from 0 to {self.classes - 1}")
        return int(text)

    def tokens(self, condition: Condition | None) -> Tensor | None:
        return None if condition is None else self.net.class_embedding(condition["classes"])[:, None]

    def call(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        labels = {} if condition is None else {"class_labels": condition["classes"]}
        return self.net(x_BCHW, t, return_dict=False, **labels)[0]

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
        if self.classes:
            net = Labelled(net, self.encode(list(drawing.prompts))["classes"])
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


class Labelled(nn.Module):
    """A network that is told its classes: the pipelines' own calls know of none."""

    def __init__(self, net: nn.Module, classes_B: Tensor) -> None:
        super().__init__()
        self.net, self.classes_B = net, classes_B
        self.config, self.device, self.dtype = net.config, net.device, net.dtype

    def forward(self, x_BCHW: Tensor, t: Tensor, **named: object) -> object:
        return self.net(x_BCHW, t, class_labels=self.classes_B, **named)
