"""A bound on the policy's KL to the pretrained model that holds: η answers to it during a phase, and the adapter is scaled back to it after."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from vard_worker.policies import Policies
from vard_worker.trajectories import Sampling

MEMORY = 0.7
"""Of what a step's estimate is averaged with: a minibatch's KL is that of some dozen pairs."""
WALL = 3.0
"""What a nat above the aim costs beside η, in units of 1 / aim, for each share of the aim that it is above: an augmented Lagrangian's
quadratic term. [ours]"""
PACE = 0.03
"""By how much η answers to a step: its logarithm's change where the KL is twice the aim. [ours]"""
NEAR = 0.7
"""η stays where the KL is below this share of the aim: a policy that has just begun to move has a small one because it is young."""
ROUNDS = 4
"""The most often that fresh trajectories are drawn: the KL falls nearly as the square of the scale, so one or two do."""
MARGIN = 0.99
"""The adapter is scaled to this share of the aim."""
MOST_RAISE = 1.5
"""By how much an adapter is scaled up in a round: further from where it was trained nobody knows what it does."""


@dataclass(frozen=True)
class KlBudget:
    """What a policy phase is held to."""

    aim: float
    """Nats a trajectory."""
    probes: Sampling
    """Fresh trajectories that the KL is measured on. Nobody scores them, and none is kept."""
    least: float = 0.0
    """Below it the adapter is scaled up to the aim; 0 for never."""


@dataclass
class KlWeight:
    """η during a policy phase, in units of normalised reward a nat; without an aim it stays as it is."""

    eta: float
    aim: float | None = None
    _average: float = field(default=math.nan, init=False)

    def now(self) -> float:
        """What a nat costs in the next step."""
        if self.aim is None or math.isnan(self._average):
            return self.eta
        return self.eta + WALL / self.aim * max(0.0, self._average / self.aim - 1)

    def saw(self, kl: float) -> None:
        """A step's estimate, in nats a trajectory."""
        if self.aim is None:
            return
        self._average = kl if math.isnan(self._average) else MEMORY * self._average + (1 - MEMORY) * kl
        error = self._average / self.aim - 1
        if error > NEAR - 1:
            self.eta *= math.exp(PACE * max(-1.0, min(1.0, error)))


@dataclass(frozen=True)
class Held:
    """How the policy was held to its budget."""

    measured: list[float]
    """The mean KL of the probes in nats, each time that they were drawn."""
    scale: float
    """What the adapter was scaled by."""


def hold(policies: Policies, budget: KlBudget, measure: Callable[[], float]) -> Held:
    """Scales the adapter until what ``measure`` gives, nats a trajectory, is at most the aim, and where it was below ``least`` near it."""
    measured: list[float] = []
    total = 1.0
    while len(measured) < ROUNDS:
        kl = measure()
        measured.append(kl)
        if kl == 0 or budget.least <= kl <= budget.aim:
            break
        factor = min(math.sqrt(MARGIN * budget.aim / kl), MOST_RAISE)
        policies.scale(factor)
        total *= factor
    return Held(measured, total)
