"""Flux."""

from __future__ import annotations

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextModel

from vard_worker.testing.text import character_tokenizer, clip, t5, t5_tokenizer
from vard_worker.testing.vae import tiny_vae

JOINT = 32


def tiny_flux(guidance_embeds: bool = True, seed: int = 0) -> FluxPipeline:
    """4-channel latents of a quarter of the image's sides: dev with its embedded guidance, or schnell without."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer, tokenizer_2 = character_tokenizer(), t5_tokenizer()
        text_encoder, text_encoder_2 = clip(CLIPTextModel, tokenizer, 32), t5(tokenizer_2, JOINT)
        transformer = FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=JOINT, pooled_projection_dim=32, guidance_embeds=guidance_embeds, axes_dims_rope=(4, 4, 8),
        )  # fmt: skip
        vae = tiny_vae(scaling_factor=0.9, shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False)
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.1)
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0) if guidance_embeds else FlowMatchEulerDiscreteScheduler(shift=1.0)
    return FluxPipeline(scheduler, vae, text_encoder, tokenizer, text_encoder_2, tokenizer_2, transformer)
