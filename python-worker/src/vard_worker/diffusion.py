"""The denoising chain as a Markov decision process: p(x_{t-1} | x_t) = N(μ_t, σ_t² I), in closed form.

Shapes: ``x_BCHW`` is a batch of latents; ``step_B`` holds each row's index k in 0..T-1 into the chain, which is not
its timestep: ``transitions.timesteps[k]`` is. State k has the timestep ``transitions.state_timesteps[k]``; state T is
the finished x_0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

# A scheduler's "no noise" can be the square root of its own clamp (1e-10 in DDPM). Dividing a KL by that would
# drown everything else, so such a step counts as deterministic.
SMALLEST_SIGMA = 1e-6

FINISHED = -1
"""The timestep that stands for x_0, one past the chain's end."""


@dataclass(frozen=True)
class Transitions:
    """The coefficients of every step of a chain, all of shape (T,), float32 on the model's device.

    μ_t = ``x0`` · x̂_0 + ``x`` · x_t + ``eps`` · ε̂, with x̂_0 and ε̂ what the network's output says of the clean sample
    and of the noise. DDIM: formula 12 of arXiv 2010.02502. DDPM: formula 7 of arXiv 2006.11239.
    """

    timesteps: Tensor
    alpha_bar: Tensor
    x0: Tensor
    x: Tensor
    eps: Tensor
    sigma: Tensor
    prediction_type: str
    clip: float | None
    """Bound on |x̂_0|, or None."""

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    @property
    def state_timesteps(self) -> Tensor:
        """Timesteps of the states x_T … x_0, shape (T+1,); the last is ``FINISHED``."""
        return torch.cat([self.timesteps, self.timesteps.new_tensor([FINISHED])])

    def mean(self, output_BCHW: Tensor, x_BCHW: Tensor, step_B: Tensor) -> Tensor:
        """μ_t from the network's output, shape (B, C, H, W); differentiable in both tensors."""

        def at(coefficients: Tensor) -> Tensor:
            return coefficients[step_B].view(-1, 1, 1, 1)

        a, b = at(self.alpha_bar).sqrt(), (1 - at(self.alpha_bar)).sqrt()
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
        return at(self.x0) * x0 + at(self.x) * x_BCHW + at(self.eps) * eps

    def sigma_at(self, step_B: Tensor) -> Tensor:
        """σ_t, shape (B,)."""
        return self.sigma[step_B]


def transitions(scheduler: DDIMScheduler | DDPMScheduler, eta: float, device: torch.device) -> Transitions:
    """Reads the chain off a scheduler whose timesteps are set. ``eta`` is DDIM's η; DDPM has none.

    Raises ValueError for what has no closed form here: dynamic thresholding, learned variances, a schedule that is
    without noise, or nothing but noise, before its end.
    """
    config = scheduler.config
    if getattr(config, "thresholding", False):
        raise ValueError("the scheduler uses dynamic thresholding, which is not supported; set thresholding to false")
    if isinstance(scheduler, DDPMScheduler) and config.variance_type not in ("fixed_small", "fixed_small_log", "fixed_large"):
        raise ValueError(f"the scheduler's variance_type {config.variance_type!r} is not supported; use fixed_small or fixed_large")

    timesteps = [int(t) for t in scheduler.timesteps]
    alphas = scheduler.alphas_cumprod.double()
    rows = []
    for t in timesteps:
        if isinstance(scheduler, DDPMScheduler):
            prev, end = int(scheduler.previous_timestep(t)), 1.0
        else:
            prev, end = t - config.num_train_timesteps // scheduler.num_inference_steps, float(scheduler.final_alpha_cumprod)
        a, a_prev = float(alphas[t]), float(alphas[prev]) if prev >= 0 else end
        if not 0 <= a < 1 or not 0 < a_prev <= 1:
            raise ValueError(f"the noise schedule has no step from timestep {t}: ᾱ is {a:g} there and {a_prev:g} after it; correct its betas")
        if isinstance(scheduler, DDPMScheduler):
            alpha = a / a_prev
            small = (1 - a_prev) / (1 - a) * (1 - alpha)
            variance = 0.0 if t == 0 else (1 - alpha if config.variance_type == "fixed_large" else small)
            sigma = math.sqrt(variance)
            row = (math.sqrt(a_prev) * (1 - alpha) / (1 - a), math.sqrt(alpha) * (1 - a_prev) / (1 - a), 0.0)
        else:
            sigma = eta * math.sqrt((1 - a_prev) / (1 - a) * (1 - a / a_prev))
            row = (math.sqrt(a_prev), 0.0, math.sqrt(max(0.0, 1 - a_prev - sigma**2)))
        rows.append((a, *row, sigma if sigma > SMALLEST_SIGMA else 0.0))
    table = torch.tensor(rows, dtype=torch.float64).to(device, torch.float32).T
    return Transitions(
        timesteps=torch.tensor(timesteps, device=device),
        alpha_bar=table[0],
        x0=table[1],
        x=table[2],
        eps=table[3],
        sigma=table[4],
        prediction_type=config.prediction_type,
        clip=float(config.clip_sample_range) if config.clip_sample else None,
    )


def kl(mean_BCHW: Tensor, reference_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """KL_t = ‖μ_θ - μ_pre‖² / (2σ_t²) in nats, summed over the latent's dimensions; shape (B,).

    The divergence of two Gaussians of equal covariance. A step with σ_t = 0 has none: 0 there.
    """
    squared_B = (mean_BCHW - reference_BCHW).flatten(1).square().sum(1)
    noisy_B = sigma_B > 0
    return torch.where(noisy_B, squared_B / (2 * torch.where(noisy_B, sigma_B, 1.0).square()), 0.0)


def log_prob(x_prev_BCHW: Tensor, mean_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """log N(x_{t-1}; μ_t, σ_t² I) **averaged** over the latent's dimensions, as DDPO takes it; shape (B,).

    0 where σ_t = 0: that step has no density, and its likelihood ratio is 1.
    """
    noisy_B = sigma_B > 0
    sigma_B = torch.where(noisy_B, sigma_B, 1.0)
    squared_B = (x_prev_BCHW - mean_BCHW).flatten(1).square().mean(1)
    density_B = -squared_B / (2 * sigma_B.square()) - sigma_B.log() - 0.5 * math.log(2 * math.pi)
    return torch.where(noisy_B, density_B, 0.0)
