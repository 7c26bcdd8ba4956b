"""VARD: up the value of the next state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vard_worker.objectives.base import Need, Objective, Terms

if TYPE_CHECKING:
    from vard_worker.objectives.batch import Batch


@dataclass(frozen=True)
class Vard(Objective):
    """L = -E[V(x_{t-1}, t-1, c)] + η E[KL_t] (arXiv 2505.15791, as docs/algorithm.md reads it), x_{t-1} = μ_t + σ_t ε
    reparameterised, so that the gradient flows through V into the adapter."""

    kind: ClassVar[str] = "vard"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.VALUE, Need.NOISE})

    def loss(self, batch: Batch) -> Terms:
        x_prev = batch.mean_BCHW + batch.sigma_B.view(-1, 1, 1, 1) * batch.noise_BCHW
        value_B = batch.value(x_prev, batch.step_B + 1)
        return batch.terms(-value_B.mean())
