"""DDPM's ancestral chain (arXiv 2006.11239)."""

from __future__ import annotations

import math

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from vard_worker.chains.diffusion import DiffusionChain, Row


class Ddpm(DiffusionChain):
    """Formula 7 of arXiv 2006.11239. It has no η."""

    kind = "ddpm"
    default_eta = 1.0
    takes_eta = False
    scheduler_class = DDPMScheduler

    def __init__(self, scheduler: DDPMScheduler, eta: float, device: torch.device) -> None:
        variance = scheduler.config.variance_type
        if variance not in ("fixed_small", "fixed_small_log", "fixed_large"):
            raise ValueError(f"the scheduler's variance_type {variance!r} is not supported; use fixed_small or fixed_large")
        super().__init__(scheduler, eta, device)

    def previous(self, t: int) -> tuple[int, float]:
        return int(self.scheduler.previous_timestep(t)), 1.0

    def row(self, t: int, a: float, a_prev: float) -> Row:
        alpha = a / a_prev
        small = (1 - a_prev) / (1 - a) * (1 - alpha)
        variance = 0.0 if t == 0 else (1 - alpha if self.scheduler.config.variance_type == "fixed_large" else small)
        return Row(a, math.sqrt(a_prev) * (1 - alpha) / (1 - a), math.sqrt(alpha) * (1 - a_prev) / (1 - a), 0.0, math.sqrt(variance))

    def step(self, output_BCHW: Tensor, k: int, x_BCHW: Tensor, generators: list[torch.Generator]) -> Tensor:
        return self.scheduler.step(output_BCHW, self.scheduler.timesteps[k], x_BCHW, generator=generators, return_dict=False)[0]
