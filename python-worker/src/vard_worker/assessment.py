"""How good a value network's predictions are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Quality:
    """Of the predictions at one state of the chain."""

    timestep: int
    """What the value network is given as t; -1 for the finished x_0."""
    mse: float
    r2: float
    """1 - Σ(target - V)² / Σ(target - mean)²; NaN where all targets are equal."""
    correlation: float
    """Pearson's; NaN where either is constant."""


def quality(timestep: int, value_N: Tensor, target_N: Tensor) -> Quality:
    error = (target_N - value_N).square()
    spread = (target_N - target_N.mean()).square().sum().item()
    both = math.sqrt(spread * (value_N - value_N.mean()).square().sum().item())
    covariance = ((value_N - value_N.mean()) * (target_N - target_N.mean())).sum().item()
    return Quality(
        timestep,
        mse=error.mean().item(),
        r2=1 - error.sum().item() / spread if spread > 0 else math.nan,
        correlation=covariance / both if both > 0 else math.nan,
    )
