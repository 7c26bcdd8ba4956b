"""Stable Diffusion 1.x and 2.x: a CLIP text encoder, a UNet on latents and a VAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from vard_worker.chains import noise_schedule
from vard_worker.families import configs
from vard_worker.families.base import DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS, Condition, Drawing, Drawn, Part
from vard_worker.families.latents import VAE_CURE, latent_size, noise_of, to_uint8
from vard_worker.families.unet import UNetFamily
from vard_worker.finite import demand_finite


class StableDiffusion(UNetFamily):
    """A ``StableDiffusionPipeline``."""

    name = "sd"
    pipeline_class = StableDiffusionPipeline
    parts = {
        "vae": Part("diffusers", ("AutoencoderKL",), DIFFUSERS_WEIGHTS, AutoencoderKL),
        "text_encoder": Part("transformers", ("CLIPTextModel",), TRANSFORMERS_WEIGHTS, CLIPTextModel),
        "tokenizer": Part("transformers", ("CLIPTokenizer", "CLIPTokenizerFast")),
        "unet": Part("diffusers", ("UNet2DConditionModel",), DIFFUSERS_WEIGHTS, UNet2DConditionModel),
        "scheduler": Part("diffusers", noise_schedule.SUPPORTED),
    }
    unread = {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "requires_safety_checker": False}
    # A scheduler's own clip_sample is meant for pixels. Latents are not bounded by 1, and configurations of other
    # schedulers, which lack the key, would get the default: true.
    scheduler_changes = {"clip_sample": False}

    def __init__(self, pipeline: StableDiffusionPipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        super().__init__(pipeline, guidance, dtype)
        factor = pipeline.vae_scale_factor
        self.latent_shape = (self.net.config.in_channels, *latent_size(height, width, factor, self.own_size()))
        self.image_shape = (self.latent_shape[1] * factor, self.latent_shape[2] * factor, 3)

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        configs.check_text_to_image(root, checkpoint)

    @property
    def condition_width(self) -> int:
        # What the UNet makes of it, by a projection of its own, may be wider.
        return self.pipeline.text_encoder.config.hidden_size

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> Condition:
        guided = self.guidance > 1
        encoded, empty = self.pipeline.encode_prompt(prompts, self.device, 1, guided)
        demand_finite("the text encoder", [("a prompt's encoding", encoded)], "use float32, or a checkpoint whose text_encoder is whole")
        return {"prompts": encoded} | ({"empty": empty} if guided else {})

    def tokens(self, condition: Condition) -> Tensor:
        return condition["prompts"]

    def call(self, x_BCHW: Tensor, t: Tensor, condition: Condition) -> Tensor:
        return self.net(x_BCHW, t, encoder_hidden_states=condition["prompts"], return_dict=False)[0]

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition) -> Tensor:
        with self.autocast():
            if "empty" not in condition:
                return self.call(x_BCHW, t, condition).to(x_BCHW.dtype)
            twice = t if t.ndim == 0 else torch.cat([t, t])
            output = self.call(torch.cat([x_BCHW, x_BCHW]), twice, self.guided(condition)).to(x_BCHW.dtype)
        without, with_prompt = output.chunk(2)
        return without + self.guidance * (with_prompt - without)

    def guided(self, condition: Condition) -> Condition:
        """The condition without the prompt, and then the one with it."""
        return {"prompts": torch.cat([condition["empty"], condition["prompts"]])}

    @torch.no_grad()
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        vae = self.pipeline.vae
        images = vae.decode(x_BCHW.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
        demand_finite("the VAE", [("a decoded image", images)], VAE_CURE)
        return to_uint8(self.pipeline.image_processor.postprocess(images, output_type="np"))

    def draw(self, net: nn.Module, drawing: Drawing) -> Drawn:
        pipeline = self.pipeline_with(net)
        # Not by the constructor, which sets a scheduler's steps_offset to 1.
        pipeline.scheduler = drawing.scheduler
        steps: list[Tensor] = []

        def note(_: DiffusionPipeline, step: int, t: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            steps.append(tensors["latents"])
            return {}

        decoded = self.dtype == torch.float32
        images = pipeline(
            list(drawing.prompts),
            **self.size_options(),
            num_inference_steps=drawing.steps,
            guidance_scale=self.guidance,
            eta=drawing.eta,
            generator=drawing.generators,
            latents=noise_of(self, drawing),
            output_type="np" if decoded else "latent",
            callback_on_step_end=note,
        ).images
        return Drawn(steps[-1], to_uint8(images) if decoded else None)

    def size_options(self) -> dict[str, int]:
        """Arguments of the pipeline's call that say how large the images are to be, beside the latents."""
        return {}

    def pipeline_with(self, net: nn.Module) -> StableDiffusionPipeline:
        """A pipeline of its own, with the session's parts but this network."""
        pipeline = StableDiffusionPipeline(**self.pipeline.components | {"unet": net}, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def save_lora(self, folder: Path, weights: dict[str, Tensor], metadata: dict[str, object]) -> None:
        self.pipeline_class.save_lora_weights(folder, unet_lora_layers=weights, unet_lora_adapter_metadata=metadata)

    def load_lora(self, net: nn.Module, file: Path) -> None:
        self.pipeline_with(net).load_lora_weights(file.parent, weight_name=file.name)
