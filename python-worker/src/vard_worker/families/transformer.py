"""What families with a transformer on patches of latents have in common: text to image by flow matching."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from vard_worker.families.base import Condition, Drawing, Drawn, Family
from vard_worker.families.latents import VAE_CURE, noise_of, to_uint8
from vard_worker.finite import demand_finite

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
JOINT_ATTENTION = (*ATTENTION, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


class TransformerFamily(Family):
    """A transformer that gives a velocity, and a VAE with ``scaling_factor`` and ``shift_factor``."""

    network = "transformer"
    process = "flow"
    call_options: ClassVar[Mapping[str, object]] = {}
    """What the pipeline's call is told beside."""

    @torch.no_grad()
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        vae = self.pipeline.vae
        z = x_BCHW.to(vae.dtype) / vae.config.scaling_factor + (vae.config.get("shift_factor") or 0.0)
        images = vae.decode(z, return_dict=False)[0]
        demand_finite("the VAE", [("a decoded image", images)], VAE_CURE)
        return to_uint8(self.pipeline.image_processor.postprocess(images, output_type="np"))

    def draw(self, net: nn.Module, drawing: Drawing) -> Drawn:
        pipeline = self.pipeline_with(net)
        pipeline.scheduler = drawing.scheduler
        steps: list[Tensor] = []

        def note(_: DiffusionPipeline, step: int, t: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            steps.append(tensors["latents"])
            return {}

        decoded = self.dtype == torch.float32
        height, width, _ = self.image_shape
        images = pipeline(
            **({"prompt": list(drawing.prompts)} if decoded else self.in_float32(self.encode(list(drawing.prompts)))),
            height=height,
            width=width,
            num_inference_steps=drawing.steps,
            guidance_scale=self.guidance,
            generator=drawing.generators,
            latents=self.packed(noise_of(self, drawing)),
            output_type="np" if decoded else "latent",
            callback_on_step_end=note,
            **self.call_options,
        ).images
        return Drawn(self.unpacked(steps[-1]), to_uint8(images) if decoded else None)

    def in_float32(self, condition: Condition) -> Mapping[str, Tensor | None]:
        """Encoded prompts as arguments of the pipeline's call, which takes its latents in their type."""
        raise NotImplementedError

    def packed(self, x_BCHW: Tensor) -> Tensor:
        """Latents as the pipeline keeps them."""
        return x_BCHW

    def unpacked(self, x: Tensor) -> Tensor:
        return x

    def pipeline_with(self, net: nn.Module) -> DiffusionPipeline:
        """A pipeline of its own, with the session's parts but this network."""
        pipeline = self.pipeline_class(**self.pipeline.components | {"transformer": net})
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def save_lora(self, folder: Path, weights: dict[str, Tensor], metadata: dict[str, object]) -> None:
        self.pipeline_class.save_lora_weights(folder, transformer_lora_layers=weights, transformer_lora_adapter_metadata=metadata)

    def load_lora(self, net: nn.Module, file: Path) -> None:
        self.pipeline_with(net).load_lora_weights(file.parent, weight_name=file.name)


def dynamic_shift(config: dict[str, object], tokens: int) -> dict[str, float]:
    """μ of a scheduler's resolution-dependent time shift, linear in the image's tokens, as pipelines compute it; none where the
    scheduler does not shift so."""
    if not config.get("use_dynamic_shifting"):
        return {}
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (high - low) / (many - few)
    return {"mu": tokens * slope + (low - slope * few)}
