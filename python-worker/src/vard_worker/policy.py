"""The losses that train the adapter. Pure functions of what the networks said; all batch shapes are (B,)."""

from __future__ import annotations

from torch import Tensor


def value_loss(value_B: Tensor, kl_B: Tensor, kl_weight: float) -> tuple[Tensor, Tensor]:
    """VARD: L = -E[V(x_{t-1}, t-1, c)] + η E[KL_t] (arXiv 2505.15791, as docs/algorithm.md reads it).

    Returns the loss and its part without the KL, both scalar.
    """
    objective = -value_B.mean()
    return objective + kl_weight * kl_B.mean(), objective


def clipped_ratio_loss(
    log_prob_B: Tensor, old_log_prob_B: Tensor, advantage_B: Tensor, clip: float, kl_B: Tensor, kl_weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """DDPO with importance sampling (arXiv 2305.13301): E[max(-A r, -A clip(r, 1-ε, 1+ε))] + η E[KL_t].

    Returns the loss, its part without the KL, and the share of ratios outside the clip, all scalar.
    """
    ratio_B = (log_prob_B - old_log_prob_B).exp()
    unclipped_B = -advantage_B * ratio_B
    clipped_B = -advantage_B * ratio_B.clamp(1 - clip, 1 + clip)
    objective = unclipped_B.maximum(clipped_B).mean()
    outside = ((ratio_B - 1).abs() > clip).float().mean()
    return objective + kl_weight * kl_B.mean(), objective, outside
