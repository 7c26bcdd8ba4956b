"""The one place where gradients meet optimisers: micro-batches, accumulation, clipping, NaN, and that a failure leaves nothing
behind. Value fits and policy steps both go through it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor, nn

from vard_worker.errors import Cancellation, Code, WorkerError, stop_if

CANCELLATION_ROUNDS = 1024
"""Rounds of drawing pairs between two looks at whether the caller has given up."""


@dataclass(frozen=True)
class Descent:
    """How a request descends."""

    steps: int
    batch: int
    """(trajectory, t) pairs in a minibatch."""
    learning_rate: float
    max_gradient_norm: float = 0.0
    """Gradients are scaled down to this L2 norm; 0 for no bound."""
    seed: int = 0
    final_learning_rate: float = 0.0
    """Of the last step; the rate falls linearly to it. 0 for one that stays."""
    micro_batch: int = 0
    """Pairs that go through the networks together; gradients accumulate over the batch. 0 for all of it."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if self.final_learning_rate == 0 or self.steps == 1:
            return self.learning_rate
        done = step / (self.steps - 1)
        return self.learning_rate * (1 - done) + self.final_learning_rate * done


@dataclass(frozen=True)
class Step:
    """What one step saw, before it changed the weights."""

    loss: float
    gradient_norm: float
    """L2, before it was scaled down."""
    told: dict[str, float]
    """What else the loss told, by name: means over the batch."""


Loss = Callable[[slice], tuple[Tensor, dict[str, Tensor]]]
"""Of the batch's rows in the slice: the loss, a mean over them, and other means to be told."""


class Trainer:
    """One request's steps of one optimiser. A context: what fails or is cancelled within it leaves weights and moments as they
    were before it."""

    def __init__(self, optimizer: torch.optim.Optimizer, descent: Descent) -> None:
        self._optimizer = optimizer
        self._descent = descent
        self._undo = all_or_nothing(optimizer)
        self._done = 0

    def __enter__(self) -> Trainer:
        self._undo.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        return self._undo.__exit__(kind, error, trace)

    def step(self, loss_of: Loss) -> Step:
        """One step of the optimiser on one minibatch.

        Raises NOT_FINITE where loss or gradient is NaN or infinite; the weights are then untouched by this step.
        """
        batch = self._descent.batch
        micro = min(self._descent.micro_batch or batch, batch)
        parameters = parameters_of(self._optimizer)
        self._optimizer.zero_grad(set_to_none=True)
        total, told = 0.0, {}
        for start in range(0, batch, micro):
            rows = slice(start, min(start + micro, batch))
            loss, others = loss_of(rows)
            share = (rows.stop - rows.start) / batch
            # A batch in one piece is not scaled: its bits are those of a plain step.
            (loss if share == 1 else share * loss).backward()
            total += share * loss.item()
            for name, tensor in others.items():
                told[name] = told.get(name, 0.0) + share * tensor.item()
            # Before the next piece is made: a graph that is still named keeps its activations.
            del loss, others
        # Where several ranks train together, their gradients are to be summed here.
        bound = self._descent.max_gradient_norm
        norm = nn.utils.clip_grad_norm_(parameters, bound if bound > 0 else math.inf).item()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise WorkerError(Code.NOT_FINITE, f"the loss became {total:g} and its gradient's norm {norm:g}; lower the learning rate, or use float32")
        for group in self._optimizer.param_groups:
            group["lr"] = self._descent.rate(self._done)
        self._done += 1
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return Step(total, norm, told)


def stratified_pairs(trajectories: int, strata: int, count: int, generator: torch.Generator, cancelled: Cancellation) -> Tensor:
    """Pairs (trajectory, k), shape (count, 2): each k, and each trajectory, as often as any other to within one.

    Both are shuffled anew each time round, so that any stretch of the list is spread over the chain and the buffer.
    """
    pairs = torch.empty(count, 2, dtype=torch.long)
    for column, n in ((0, trajectories), (1, strata)):
        for start in range(0, count, n):
            if start % (n * CANCELLATION_ROUNDS) == 0:
                stop_if(cancelled)
            pairs[start : start + n, column] = torch.randperm(n, generator=generator)[: count - start]
    return pairs


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@contextmanager
def all_or_nothing(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Undoes what was done to the optimiser and its weights when the block fails or is cancelled."""
    before = [parameter.detach().clone() for parameter in parameters_of(optimizer)]
    moments = copy.deepcopy(optimizer.state_dict())
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, value in zip(parameters_of(optimizer), before, strict=True):
                parameter.copy_(value)
        optimizer.load_state_dict(moments)
        optimizer.zero_grad(set_to_none=True)
        raise


@contextmanager
def frozen(module: nn.Module | None) -> Iterator[None]:
    """No gradients for the module's weights; they still flow through it."""
    parameters = [] if module is None else list(module.parameters())
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
