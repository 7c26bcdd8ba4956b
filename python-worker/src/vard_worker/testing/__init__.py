"""Tiny checkpoints with random weights, in the real formats, for tests: ``python -m vard_worker.testing tiny-sd DIR``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from diffusers import DiffusionPipeline

from vard_worker.testing.ddpm import tiny_ddpm
from vard_worker.testing.flux import tiny_flux
from vard_worker.testing.sana import tiny_sana
from vard_worker.testing.sd import tiny_sd
from vard_worker.testing.sd3 import tiny_sd3
from vard_worker.testing.sdxl import tiny_sdxl
from vard_worker.testing.text import TOKENS, character_tokenizer

__all__ = ["CHECKPOINTS", "TOKENS", "character_tokenizer", "tiny_ddpm", "tiny_flux", "tiny_sana", "tiny_sd", "tiny_sd3", "tiny_sdxl"]

CHECKPOINTS: dict[str, Callable[[], DiffusionPipeline]] = {
    "tiny-sd": tiny_sd,
    "tiny-sd-pruned": partial(tiny_sd, middle=False),
    "tiny-ddpm": tiny_ddpm,
    "tiny-ddpm-gray": partial(tiny_ddpm, channels=1),
    "tiny-ddpm-classes": partial(tiny_ddpm, classes=4),
    "tiny-sdxl": tiny_sdxl,
    "tiny-sdxl-v": partial(tiny_sdxl, prediction_type="v_prediction"),
    "tiny-sdxl-pruned": partial(tiny_sdxl, middle=False),
    "tiny-sd3": tiny_sd3,
    "tiny-sd3-clip": partial(tiny_sd3, with_t5=False),
    "tiny-sd3-dual": partial(tiny_sd3, dual=True),
    "tiny-flux": tiny_flux,
    "tiny-flux-schnell": partial(tiny_flux, guidance_embeds=False),
    "tiny-sana": tiny_sana,
}
