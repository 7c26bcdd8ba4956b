"""Autoencoders."""

from __future__ import annotations

from diffusers import AutoencoderKL


def tiny_vae(channels: int = 4, **config: object) -> AutoencoderKL:
    """32x32 images to latents of 8x8."""
    return AutoencoderKL(
        sample_size=32, block_out_channels=(8, 8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, mid_block_add_attention=False, **config,
    )  # fmt: skip
