"""Unconditional DDPM."""

from __future__ import annotations

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel


def tiny_ddpm(channels: int = 3, classes: int | None = None, seed: int = 0) -> DDPMPipeline:
    """A pipeline of 16x16 images: unconditional, or of so many classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DModel(
            sample_size=16, in_channels=channels, out_channels=channels, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8, num_class_embeds=classes,
        )  # fmt: skip
    return DDPMPipeline(unet, DDPMScheduler())
