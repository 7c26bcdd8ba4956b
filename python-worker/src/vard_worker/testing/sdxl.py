"""Stable Diffusion XL."""

from __future__ import annotations

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from vard_worker.testing.text import character_tokenizer, clip
from vard_worker.testing.vae import tiny_vae


def tiny_sdxl(prediction_type: str = "epsilon", middle: bool = True, seed: int = 0) -> StableDiffusionXLPipeline:
    """32x32 images of 4x8x8 latents. Without a ``middle`` block it is as SSD-1B is pruned."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = character_tokenizer()
        text_encoder, text_encoder_2 = clip(CLIPTextModel, tokenizer, 32), clip(CLIPTextModelWithProjection, tokenizer, 16)
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            mid_block_type="UNetMidBlock2DCrossAttn" if middle else None,
            cross_attention_dim=48, attention_head_dim=2, use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=16 + 6 * 8,
        )  # fmt: skip
        vae = tiny_vae(scaling_factor=0.13025)
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction_type, steps_offset=1)
    return StableDiffusionXLPipeline(vae, text_encoder, text_encoder_2, tokenizer, character_tokenizer(), unet, scheduler, add_watermarker=False)
