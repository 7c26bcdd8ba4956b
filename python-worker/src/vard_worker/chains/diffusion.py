"""What DDIM's and DDPM's chains share: the process x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε, and a mean that is linear in what the
network says of x_0 and ε."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from vard_worker.chains import noise_schedule
from vard_worker.chains.base import Chain

# A scheduler's "no noise" can be the square root of its own clamp (1e-10 in DDPM). Dividing a KL by that would
# drown everything else, so such a step counts as deterministic.
SMALLEST_SIGMA = 1e-6


@dataclass(frozen=True)
class Row:
    """One step's ᾱ, the coefficients of its mean, and its σ."""

    alpha_bar: float
    x0: float
    x: float
    eps: float
    sigma: float


class DiffusionChain(Chain):
    """μ_t = ``x0`` · x̂_0 + ``x`` · x_t + ``eps`` · ε̂, with coefficients of shape (T,), float32 on the model's device."""

    process = "diffusion"
    scheduler_class: ClassVar[type[DDIMScheduler | DDPMScheduler]]
    scheduler: DDIMScheduler | DDPMScheduler

    def __init__(self, scheduler: DDIMScheduler | DDPMScheduler, eta: float, device: torch.device) -> None:
        """Raises ValueError for what has no closed form here: dynamic thresholding, learned variances, a schedule that is
        without noise, or nothing but noise, before its end."""
        config = scheduler.config
        if getattr(config, "thresholding", False):
            raise ValueError("the scheduler uses dynamic thresholding, which is not supported; set thresholding to false")
        self.scheduler, self.eta = scheduler, eta
        timesteps = [int(t) for t in scheduler.timesteps]
        alphas = scheduler.alphas_cumprod.double()
        rows = []
        for t in timesteps:
            prev, end = self.previous(t)
            a, a_prev = float(alphas[t]), float(alphas[prev]) if prev >= 0 else end
            if not 0 <= a < 1 or not 0 < a_prev <= 1:
                raise ValueError(f"the noise schedule has no step from timestep {t}: ᾱ is {a:g} there and {a_prev:g} after it; correct its betas")
            row = self.row(t, a, a_prev)
            rows.append((row.alpha_bar, row.x0, row.x, row.eps, row.sigma if row.sigma > SMALLEST_SIGMA else 0.0))
        table = torch.tensor(rows, dtype=torch.float64).to(device, torch.float32).T
        self.timesteps = torch.tensor(timesteps, device=device)
        self.alpha_bar, self.x0, self.x, self.eps, self.sigma = table
        self.prediction_type: str = config.prediction_type
        self.clip = float(config.clip_sample_range) if config.clip_sample else None
        """Bound on |x̂_0|, or None."""

    def previous(self, t: int) -> tuple[int, float]:
        """The timestep after ``t``'s step, and ᾱ where that lies beyond the chain's end."""
        raise NotImplementedError

    def row(self, t: int, a: float, a_prev: float) -> Row:
        """The step from timestep ``t``, with ᾱ = ``a``, to ᾱ = ``a_prev``."""
        raise NotImplementedError

    @classmethod
    def check_saved(cls, scheduler: str, config: dict[str, object], checkpoint: str) -> None:
        noise_schedule.check_scheduler(scheduler, config, cls.scheduler_class, checkpoint)

    @classmethod
    def scheduler_of(cls, saved: object, checkpoint: str, **changes: object) -> DDIMScheduler | DDPMScheduler:
        return noise_schedule.chain_scheduler(saved, cls.scheduler_class, checkpoint, **changes)

    def predictions(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> tuple[Tensor, Tensor]:
        """x̂_0 and ε̂."""
        a, b = at(self.alpha_bar, step_B).sqrt(), (1 - at(self.alpha_bar, step_B)).sqrt()
        match self.prediction_type:
            case "epsilon":
                x0, eps = (x_BCHW - b * output_BCHW) / a, output_BCHW
            case "v_prediction":
                x0, eps = a * x_BCHW - b * output_BCHW, a * output_BCHW + b * x_BCHW
            case "sample":
                x0, eps = output_BCHW, (x_BCHW - a * output_BCHW) / b
            case other:
                raise ValueError(f"prediction type {other!r}")
        if self.clip is not None:
            # As diffusers does, ε̂ stays what the network said.
            x0 = x0.clamp(-self.clip, self.clip)
        return x0, eps

    def clean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        return self.predictions(output_BCHW, x_BCHW, step_B)[0]

    def noise(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        return self.predictions(output_BCHW, x_BCHW, step_B)[1]

    def mean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        x0, eps = self.predictions(output_BCHW, x_BCHW, step_B)
        return at(self.x0, step_B) * x0 + at(self.x, step_B) * x_BCHW + at(self.eps, step_B) * eps

    def noised(self, x0_BCHW: Tensor, noise_BCHW: Tensor, step_B: Tensor) -> Tensor:
        a = at(self.alpha_bar, step_B)
        return a.sqrt() * x0_BCHW + (1 - a).sqrt() * noise_BCHW


def at(coefficients: Tensor, step_B: Tensor) -> Tensor:
    """Each row's coefficient, shape (B, 1, 1, 1)."""
    return coefficients[step_B].view(-1, 1, 1, 1)
