"""The losses that train the adapter. Pure functions of what the networks said."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """A loss and what it is made of: scalars, but ``kl_B``, each pair's KL_t in nats."""

    loss: Tensor
    objective: Tensor
    """The loss without the KL."""
    kl_B: Tensor
    clipped: Tensor
    """Share of likelihood ratios outside the clip."""


def value_loss(value_B: Tensor, kl_B: Tensor, kl_weight: float) -> Terms:
    """VARD: L = -E[V(x_{t-1}, t-1, c)] + η E[KL_t] (arXiv 2505.15791, as docs/algorithm.md reads it)."""
    objective = -value_B.mean()
    return Terms(objective + kl_weight * kl_B.mean(), objective, kl_B, clipped=objective.new_zeros(()))


def clipped_ratio_loss(
    log_prob_B: Tensor, old_log_prob_B: Tensor, advantage_B: Tensor, clip: float, kl_B: Tensor, kl_weight: float
) -> Terms:
    """DDPO with importance sampling (arXiv 2305.13301): E[max(-A r, -A clip(r, 1-ε, 1+ε))] + η E[KL_t]."""
    ratio_B = (log_prob_B - old_log_prob_B).exp()
    unclipped_B = -advantage_B * ratio_B
    clipped_B = -advantage_B * ratio_B.clamp(1 - clip, 1 + clip)
    objective = unclipped_B.maximum(clipped_B).mean()
    outside = ((ratio_B - 1).abs() > clip).float().mean()
    return Terms(objective + kl_weight * kl_B.mean(), objective, kl_B, clipped=outside)
