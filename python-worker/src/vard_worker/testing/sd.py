"""Stable Diffusion 1.x."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from vard_worker.testing.text import character_tokenizer, clip
from vard_worker.testing.vae import tiny_vae


def tiny_sd(prediction_type: str = "epsilon", middle: bool = True, seed: int = 0) -> StableDiffusionPipeline:
    """A text-to-image pipeline of 32x32 images and 4x8x8 latents, about 0.2 million parameters. Without a ``middle`` block it is
    as BK-SDM is pruned."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = character_tokenizer()
        text_encoder = clip(CLIPTextModel, tokenizer)
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=32, attention_head_dim=2, **({} if middle else {"mid_block_type": None}),
        )  # fmt: skip
        vae = tiny_vae()
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction_type,
        clip_sample=False, set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    return StableDiffusionPipeline(vae, text_encoder, tokenizer, unet, scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
