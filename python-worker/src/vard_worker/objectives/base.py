"""What an objective is: the loss that trains the adapter, what it takes, and what it needs.

@dataclass(frozen=True)
class Mine(Objective):
    kind = "mine"
    needs = frozenset({Need.VALUE})
    temperature: float = number(above=0.0)
    weight: tuple[float, ...] = series()

    def loss(self, batch: Batch) -> Terms:
        ...
        return batch.terms(objective, spread=spread)
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from vard_worker.errors import invalid

if TYPE_CHECKING:
    from vard_worker.objectives.batch import Batch
    from vard_worker.trajectories import Trajectory


class Need(Enum):
    """What a loss asks of the session; looked at before anything is done."""

    VALUE = auto()
    """A value network."""
    NOISE = auto()
    """``Batch.noise_BCHW``: fresh noise for each pair."""
    LOG_PROBS = auto()
    """A chain with noise, whose steps have a density, and so log-probabilities."""
    KL = auto()
    """Trajectories whose KL was measured when they were sampled."""


@dataclass(frozen=True)
class Terms:
    """What a loss over a batch of pairs is made of."""

    loss: Tensor
    """A scalar, a **mean** over the pairs, so that micro-batches add up to the batch; differentiable in the adapter."""
    objective: Tensor
    """The loss without the KL, a scalar."""
    kl_B: Tensor
    """Each pair's KL_t in nats."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Scalars of its own that are reported by name; means over the pairs too."""


class Objective(ABC):
    """A loss. Subclasses are frozen dataclasses whose fields are ``number`` and ``series``: what a request gives by name."""

    kind: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset()

    def prepare(self, held: Sequence[Trajectory]) -> Objective:
        """Called once a request, before its first step, with the request's trajectories in their order: what is computed once
        goes into the objective that is returned."""
        return self

    @abstractmethod
    def loss(self, batch: Batch) -> Terms:
        """The loss over the batch's pairs. Draws no random number."""


# ------------------------------------------------------------------------------------------------------ what it takes


@dataclass(frozen=True)
class Bound:
    """Which numbers a field takes: finite ones within [least, most] and above ``above``."""

    group: str
    """"numbers", or "series" for one number a trajectory."""
    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf

    def checked(self, path: str, given: float | Sequence[float], trajectories: int) -> float | tuple[float, ...]:
        """``given``, or INVALID_ARGUMENT naming ``path``."""
        if self.group == "numbers":
            self._check(path, given)
            return given
        if len(given) != trajectories:
            raise invalid(path, f"{len(given)} for {trajectories} trajectories; give one for each")
        for i, number in enumerate(given):
            self._check(f"{path}[{i}]", number)
        return tuple(given)

    def _check(self, path: str, number: float) -> None:
        if not math.isfinite(number):
            raise invalid(path, f"{number} is not finite")
        if number < self.least:
            raise invalid(path, f"{number:g} is below {self.least:g}")
        if number <= self.above:
            raise invalid(path, f"{number:g} is not above {self.above:g}")
        if number > self.most:
            raise invalid(path, f"{number:g} is above {self.most:g}")


def number(default: float | None = None, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf) -> Any:
    """A field of one number; without a default a request has to give it."""
    bound = {"bound": Bound("numbers", least, above, most)}
    return dataclasses.field(metadata=bound) if default is None else dataclasses.field(default=default, metadata=bound)


def series(*, least: float = -math.inf, above: float = -math.inf, most: float = math.inf) -> Any:
    """A field of one number for each of the request's trajectories, in their order."""
    return dataclasses.field(metadata={"bound": Bound("series", least, above, most)})
