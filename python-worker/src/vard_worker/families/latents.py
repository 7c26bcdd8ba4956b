"""What families share: sizes, x_T, images, what a VAE's failure says."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vard_worker.errors import invalid
from vard_worker.families.base import Drawing, Family

VAE_CURE = (
    "some VAEs overflow when they are saved in, or run as, fp16: use model.dtype float32, and a checkpoint whose vae was saved in float32 or made for fp16"
)


def latent_size(height: int, width: int, factor: int, own: tuple[int, int], most: int = 2048) -> tuple[int, int]:
    """Height and width of latents for images of ``height`` × ``width`` pixels, ``factor`` pixels a latent; 0 for ``own``.

    Raises INVALID_ARGUMENT for what is no multiple of ``factor``, or above ``most`` latents.
    """
    return side("model.height", height, factor, own[0], most), side("model.width", width, factor, own[1], most)


def side(field: str, pixels: int, factor: int, own: int, most: int) -> int:
    if pixels == 0:
        return own
    if pixels % factor or not factor <= pixels <= most * factor:
        nearest = min(max(1, round(pixels / factor)), most) * factor
        raise invalid(
            field, f"{pixels}; this model draws multiples of {factor} pixels up to {most * factor}: give {nearest}, or leave it away for its own {own * factor}"
        )
    return pixels // factor


def noise_of(family: Family, drawing: Drawing) -> Tensor:
    """x_T, (B, C, H, W) in float32 whatever the text encoder's dtype is, drawn as a pipeline would."""
    shape = (len(drawing.generators), *family.latent_shape)
    return randn_tensor(shape, drawing.generators, family.device, torch.float32)


def to_uint8(images_BHWC: np.ndarray) -> np.ndarray:
    """[0, 1] to 0..255, rounded as diffusers' ``numpy_to_pil`` rounds."""
    return np.ascontiguousarray((images_BHWC * 255).round().astype("uint8"))
