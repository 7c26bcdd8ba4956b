"""Stable Diffusion 3."""

from __future__ import annotations

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from transformers import CLIPTextModelWithProjection

from vard_worker.testing.text import character_tokenizer, clip, t5, t5_tokenizer
from vard_worker.testing.vae import tiny_vae

JOINT = 64


def tiny_sd3(with_t5: bool = True, dual: bool = False, seed: int = 0) -> StableDiffusion3Pipeline:
    """32x32 images of 4x8x8 latents. ``dual`` has 3.5's second attention and normalised queries and keys."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = character_tokenizer()
        text_encoder, text_encoder_2 = clip(CLIPTextModelWithProjection, tokenizer, 32), clip(CLIPTextModelWithProjection, tokenizer, 16)
        tokenizer_3 = t5_tokenizer() if with_t5 else None
        text_encoder_3 = t5(tokenizer_3, JOINT) if with_t5 else None
        transformer = SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=JOINT, caption_projection_dim=32, pooled_projection_dim=48, pos_embed_max_size=24,
            dual_attention_layers=(0,) if dual else (), qk_norm="rms_norm" if dual else None,
        )  # fmt: skip
        vae = tiny_vae(scaling_factor=1.5, shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False)
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.1)
    return StableDiffusion3Pipeline(
        transformer, FlowMatchEulerDiscreteScheduler(shift=3.0), vae,
        text_encoder, tokenizer, text_encoder_2, character_tokenizer(), text_encoder_3, tokenizer_3,
    )  # fmt: skip
