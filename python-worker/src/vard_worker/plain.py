"""Draws as a user of diffusers does, by a pipeline's own call: what a session draws is held against it.

In float32 the pipeline gets nothing but the session's parts and seeds. In bfloat16 a plain pipeline keeps its latents, the
guidance and the scheduler's step in bfloat16 too, where a session keeps them in float32 and runs only the network under
autocast. There the network is wrapped so that the pipeline sees float32 on both sides of it, and the same bits are due.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, StableDiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn

from vard_worker.model import DiffusionModel, TextToImageModel, to_uint8

PROMPTS, SEEDS = ("a red cat", "two dogs"), (1, 2)
CUDA_TOLERANCE = 1e-3
"""Of the largest number. CUDA's libraries choose their kernels anew where memory or alignment differ; CPUs do not."""


@dataclass(frozen=True)
class Drawn:
    """Two pictures.

    ``numbers`` (2, C, H, W): latents, or for a pipeline on pixels the pictures in [0, 1]. ``images`` (2, height, width, 3),
    uint8, where a VAE made them and was compared.
    """

    numbers: Tensor
    images: np.ndarray | None

    def differs(self, other: Drawn) -> str | None:
        """By how much, in words; None if it does not."""
        largest = (self.numbers - other.numbers).abs().max().item()
        allowed = CUDA_TOLERANCE * self.numbers.abs().max().item() if self.numbers.is_cuda else 0.0
        if not largest <= allowed:
            return f"their latents differ by up to {largest:.2g}" if self.images is not None else f"they differ by up to {largest:.2g}"
        if allowed == 0.0 and self.images is not None and other.images is not None and (self.images != other.images).any():
            return "their latents are the same, but the decoded images are not"
        return None


class Mixed(nn.Module):
    """A network as a session runs it in bfloat16: under autocast, with float32 on both sides."""

    dtype = torch.float32

    def __init__(self, unet: nn.Module, model: DiffusionModel) -> None:
        super().__init__()
        self.unet, self._autocast = unet, model.autocast
        self.config, self.device = unet.config, model.device

    def forward(self, *arguments: object, **named: object) -> object:
        with self._autocast():
            output = self.unet(*arguments, **named)
        if isinstance(output, tuple):
            return (output[0].float(),)
        output.sample = output.sample.float()
        return output


@torch.no_grad()
def draw(model: DiffusionModel, unet: nn.Module) -> Drawn:
    """The two pictures that a pipeline of ``model``'s parts draws with this denoising network, in as many steps as
    ``model.scheduler`` has."""
    if model.dtype != torch.float32:
        unet = Mixed(unet, model)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in SEEDS]
    if isinstance(model, TextToImageModel):
        return draw_latents(model, unet, generators)
    return draw_pixels(model, unet, generators)


def draw_latents(model: TextToImageModel, unet: nn.Module, generators: list[torch.Generator]) -> Drawn:
    pipeline = pipeline_with(model, unet)
    steps: list[Tensor] = []

    def note(_: StableDiffusionPipeline, step: int, t: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        steps.append(tensors["latents"])
        return {}

    decoded = model.dtype == torch.float32
    images = pipeline(
        list(PROMPTS),
        num_inference_steps=model.transitions.steps,
        guidance_scale=model.guidance,
        eta=model.eta,
        generator=generators,
        # Drawn here as the pipeline would, but in float32 whatever the text encoder's dtype is.
        latents=randn_tensor((len(PROMPTS), *model.latent_shape), generators, model.device, torch.float32),
        output_type="np" if decoded else "latent",
        callback_on_step_end=note,
    ).images
    return Drawn(steps[-1], to_uint8(images) if decoded else None)


def draw_pixels(model: DiffusionModel, unet: nn.Module, generators: list[torch.Generator]) -> Drawn:
    scheduler = model.new_scheduler()
    ddim = isinstance(scheduler, DDIMScheduler)
    pipeline = (DDIMPipeline if ddim else DDPMPipeline)(unet=unet, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    eta = {"eta": model.eta} if ddim else {}
    images = pipeline(len(generators), generators, num_inference_steps=model.transitions.steps, output_type="np", **eta).images
    return Drawn(torch.from_numpy(images).permute(0, 3, 1, 2).to(model.device), None)


def pipeline_with(model: TextToImageModel, unet: nn.Module) -> StableDiffusionPipeline:
    """A pipeline of its own, with the session's parts but this network and a scheduler that has drawn nothing yet."""
    pipeline = StableDiffusionPipeline(**model.pipeline.components | {"unet": unet}, requires_safety_checker=False)
    # Not by the constructor, which sets a scheduler's steps_offset to 1.
    pipeline.scheduler = model.new_scheduler()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
