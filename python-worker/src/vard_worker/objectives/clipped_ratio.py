"""DDPO: recorded steps made likelier by their advantage, by clipped likelihood ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vard_worker.objectives.base import Need, Objective, Terms, number, series

if TYPE_CHECKING:
    from vard_worker.objectives.batch import Batch


@dataclass(frozen=True)
class ClippedRatio(Objective):
    """DDPO with importance sampling (arXiv 2305.13301): E[max(-A r, -A clip(r, 1-ε, 1+ε))] + η E[KL_t], r the likelihood
    ratio of the recorded x_{t-1}, its log-probability averaged over the latent's dimensions.

    Reports ``clipped``, the share of ratios outside the clip.
    """

    kind: ClassVar[str] = "clipped-ratio"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOG_PROBS})
    advantage: tuple[float, ...] = series()
    """A."""
    clip: float = number(above=0.0)
    """ε."""

    def loss(self, batch: Batch) -> Terms:
        advantage_B = batch.of(self.advantage)
        ratio_B = (batch.log_prob_B - batch.recorded_log_prob_B).exp()
        unclipped_B = -advantage_B * ratio_B
        clipped_B = -advantage_B * ratio_B.clamp(1 - self.clip, 1 + self.clip)
        outside = ((ratio_B - 1).abs() > self.clip).float().mean()
        return batch.terms(unclipped_B.maximum(clipped_B).mean(), clipped=outside)
