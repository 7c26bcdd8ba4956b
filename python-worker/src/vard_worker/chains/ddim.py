"""DDIM with η (arXiv 2010.02502): deterministic at 0, as stochastic as DDPM at 1."""

from __future__ import annotations

import math

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from vard_worker.chains.diffusion import DiffusionChain, Row
from vard_worker.errors import invalid

ROOTED_ETA = 0.99
"""Near enough to 1, and always with a root: see ``has_root``."""


class Ddim(DiffusionChain):
    """Formula 12 of arXiv 2010.02502."""

    kind = "ddim"
    default_eta = 1.0
    scheduler_class = DDIMScheduler

    def previous(self, t: int) -> tuple[int, float]:
        config = self.scheduler.config
        return t - config.num_train_timesteps // self.scheduler.num_inference_steps, float(self.scheduler.final_alpha_cumprod)

    def row(self, t: int, a: float, a_prev: float) -> Row:
        sigma = self.eta * math.sqrt((1 - a_prev) / (1 - a) * (1 - a / a_prev))
        return Row(a, math.sqrt(a_prev), 0.0, math.sqrt(max(0.0, 1 - a_prev - sigma**2)), sigma)

    def step(self, output_BCHW: Tensor, k: int, x_BCHW: Tensor, generators: list[torch.Generator]) -> Tensor:
        t = self.scheduler.timesteps[k]
        return self.scheduler.step(output_BCHW, t, x_BCHW, eta=self.eta, generator=generators, return_dict=False)[0]

    @classmethod
    def check_eta(cls, scheduler: DDIMScheduler, eta: float) -> None:
        """Says which η has a root."""
        if not has_root(scheduler, eta):
            raise invalid(
                "sampler.eta",
                f"{eta:g} makes each image NaN with this model's noise schedule, which starts in pure noise, and {scheduler.num_inference_steps} steps,"
                f" in plain diffusers too; give {ROOTED_ETA}, or sampler.kind: ddpm",
            )

    @classmethod
    def shortened_eta(cls, scheduler: DDIMScheduler, eta: float) -> float:
        return eta if has_root(scheduler, eta) else ROOTED_ETA


def has_root(scheduler: DDIMScheduler, eta: float) -> bool:
    """Whether diffusers' DDIM step, formula 12 of arXiv 2010.02502, takes the root of no negative number.

    √(1 - ᾱ_prev - σ²) is 0 where the chain starts in pure noise and η is 1, and in float32 below 0 for most numbers of
    steps: every image would be NaN, in a plain pipeline too. ``scheduler`` has its timesteps.
    """
    t = scheduler.timesteps
    prev = t - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    a = scheduler.alphas_cumprod[t]
    a_prev = torch.where(prev >= 0, scheduler.alphas_cumprod[prev.clamp(min=0)], scheduler.final_alpha_cumprod)
    sigma = eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)) ** 0.5
    return not bool((1 - a_prev - sigma**2 < 0).any())
