"""Divergence and density of a chain's Gaussian steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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
