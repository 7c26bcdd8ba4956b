"""The model families. Another is one file and one line here, or a call of ``register`` from outside."""

from __future__ import annotations

from vard_worker.families.base import Condition, Drawing, Drawn, Family, Part
from vard_worker.families.ddpm import Unconditional
from vard_worker.families.flux import Flux
from vard_worker.families.sana import Sana
from vard_worker.families.sd import StableDiffusion
from vard_worker.families.sd3 import StableDiffusion3
from vard_worker.families.sdxl import StableDiffusionXL

__all__ = ["FAMILIES", "Condition", "Drawing", "Drawn", "Family", "Part", "register"]

FAMILIES: dict[str, type[Family]] = {}
"""By the class of the pipeline in ``model_index.json``."""


def register(family: type[Family]) -> type[Family]:
    pipeline = family.pipeline_class.__name__
    if pipeline in FAMILIES:
        raise ValueError(f"a family of the pipeline {pipeline!r} is registered already")
    FAMILIES[pipeline] = family
    return family


for family in (StableDiffusion, StableDiffusionXL, StableDiffusion3, Flux, Sana, Unconditional):
    register(family)
