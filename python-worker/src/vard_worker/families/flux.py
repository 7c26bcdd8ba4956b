"""Flux: a CLIP and a T5 text encoder, a transformer on packed latents and a VAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel, SchedulerMixin
from torch import Tensor, nn
from transformers import CLIPTextModel, T5Config, T5EncoderModel

from vard_worker.chains import flow
from vard_worker.errors import invalid
from vard_worker.families import configs
from vard_worker.families.base import DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS, Condition, Drawing, Drawn, Features, Part
from vard_worker.families.configs import Config
from vard_worker.families.features import reached
from vard_worker.families.latents import latent_size
from vard_worker.families.transformer import JOINT_ATTENTION, TransformerFamily, dynamic_shift
from vard_worker.finite import demand_finite

PATCH = 2
"""Latents that are packed into one token, on each side."""


class Flux(TransformerFamily):
    """A ``FluxPipeline``.

    Where its transformer embeds the guidance scale (dev), ``sampler.guidance`` is that, and costs no second pass; where it does
    not (schnell), there is no guidance.
    """

    name = "flux"
    pipeline_class = FluxPipeline
    parts = {
        "vae": Part("diffusers", ("AutoencoderKL",), DIFFUSERS_WEIGHTS, AutoencoderKL),
        "text_encoder": Part("transformers", ("CLIPTextModel",), TRANSFORMERS_WEIGHTS, CLIPTextModel),
        "tokenizer": Part("transformers", ("CLIPTokenizer", "CLIPTokenizerFast")),
        "text_encoder_2": Part("transformers", ("T5EncoderModel",), TRANSFORMERS_WEIGHTS, T5EncoderModel),
        "tokenizer_2": Part("transformers", ("T5Tokenizer", "T5TokenizerFast")),
        "transformer": Part("diffusers", ("FluxTransformer2DModel",), DIFFUSERS_WEIGHTS, FluxTransformer2DModel),
        "scheduler": Part("diffusers", flow.SUPPORTED),
    }
    unread = {"image_encoder": None, "feature_extractor": None}
    targets = JOINT_ATTENTION

    def __init__(self, pipeline: FluxPipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        super().__init__(pipeline, guidance, dtype)
        if guidance != 1 and not self.net.config.guidance_embeds:
            raise invalid("sampler.guidance", f"{guidance:g}, but this model was distilled to draw without guidance (as FLUX.1-schnell); give 1")
        factor, own = pipeline.vae_scale_factor, pipeline.default_sample_size // PATCH
        units = latent_size(height, width, factor * PATCH, (own, own))
        self.latent_shape = (self.net.config.in_channels // PATCH**2, units[0] * PATCH, units[1] * PATCH)
        self.image_shape = (self.latent_shape[1] * factor, self.latent_shape[2] * factor, 3)

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        network, vae = Config(root, "transformer", checkpoint, FluxTransformer2DModel), Config(root, "vae", checkpoint, AutoencoderKL)
        configs.check_vae(vae)
        configs.check_shift(vae)
        channels = PATCH**2 * vae["latent_channels"]
        if network["in_channels"] != channels or network["out_channels"] not in (None, channels):
            raise network.refused(
                "in_channels",
                f"but its VAE has {vae['latent_channels']} latent_channels, {channels} packed: an editing or filling model, which is not supported",
            )
        if network["patch_size"] != 1:
            raise network.refused("patch_size", "give 1: its latents are packed outside the transformer")
        clip = configs.clip_config(root, "text_encoder", "tokenizer", checkpoint)
        if network["pooled_projection_dim"] != clip.hidden_size:
            raise network.refused("pooled_projection_dim", f"but text_encoder's hidden_size is {clip.hidden_size}; take both from one model")
        t5 = configs.transformers_config(root, "text_encoder_2", checkpoint, T5Config)
        if network["joint_attention_dim"] != t5.d_model:
            raise network.refused("joint_attention_dim", f"but text_encoder_2's d_model is {t5.d_model}; take both from one model")

    @property
    def condition_width(self) -> int:
        return self.net.config.joint_attention_dim

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> Condition:
        encoded, pooled, _ = self.pipeline.encode_prompt(prompts, None, device=self.device)
        demand_finite(
            "the text encoders",
            [("a prompt's encoding", encoded), ("a prompt's pooled encoding", pooled)],
            "use float32, or a checkpoint whose text encoders are whole",
        )
        return {"prompts": encoded, "pooled": pooled}

    def tokens(self, condition: Condition) -> Tensor:
        return condition["prompts"]

    def call(self, x_BCHW: Tensor, t_B: Tensor, condition: Condition) -> Tensor:
        prompts = condition["prompts"]
        config, grid = self.net.config, self.grid
        return self.net(
            hidden_states=self.packed(x_BCHW),
            timestep=t_B.to(x_BCHW.dtype) / 1000,
            guidance=torch.full((len(x_BCHW),), self.guidance, device=x_BCHW.device, dtype=torch.float32) if config.guidance_embeds else None,
            pooled_projections=condition["pooled"],
            encoder_hidden_states=prompts,
            txt_ids=torch.zeros(prompts.shape[1], 3, device=x_BCHW.device, dtype=prompts.dtype),
            img_ids=FluxPipeline._prepare_latent_image_ids(len(x_BCHW), *grid, x_BCHW.device, prompts.dtype),
            return_dict=False,
        )[0]

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition) -> Tensor:
        with self.autocast():
            output = self.call(x_BCHW, t.expand(len(x_BCHW)), condition)
        return self.unpacked(output).to(x_BCHW.dtype)

    def draw(self, net: nn.Module, drawing: Drawing) -> Drawn:
        # The pipeline keeps its latents packed, and would draw each step's noise so.
        drawing.scheduler.shape, drawing.scheduler.pack = self.latent_shape, self.packed
        return super().draw(net, drawing)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.latent_shape[1] // PATCH, self.latent_shape[2] // PATCH

    def packed(self, x_BCHW: Tensor) -> Tensor:
        """(B, H/2 · W/2, 4 C)."""
        return FluxPipeline._pack_latents(x_BCHW, *x_BCHW.shape)

    def unpacked(self, x: Tensor) -> Tensor:
        return FluxPipeline._unpack_latents(x, *self.image_shape[:2], self.pipeline.vae_scale_factor)

    def set_timesteps(self, scheduler: SchedulerMixin, steps: int) -> None:
        tokens = self.grid[0] * self.grid[1]
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), **dynamic_shift(scheduler.config, tokens))

    def middle(self) -> tuple[Features, int]:
        """The image's tokens after the last block of two streams, laid out as their patches lie."""
        block = self.net.transformer_blocks[-1]

        def encode(x_BCHW: Tensor, t_B: Tensor, condition: Condition) -> Tensor:
            with self.autocast():
                tokens_BLD = reached(block, lambda: self.call(x_BCHW, t_B, condition), place=1)
            return tokens_BLD.transpose(1, 2).unflatten(2, self.grid)

        return encode, self.net.inner_dim

    def in_float32(self, condition: Condition) -> dict[str, Tensor]:
        return {"prompt_embeds": condition["prompts"].float(), "pooled_prompt_embeds": condition["pooled"].float()}
