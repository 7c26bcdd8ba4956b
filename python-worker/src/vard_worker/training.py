"""What fitting and improving have in common: how pairs are drawn, and how a failure leaves nothing behind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vard_worker.errors import Cancellation, stop_if

CANCELLATION_ROUNDS = 1024
"""Rounds of drawing pairs between two looks at whether the caller has given up."""


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
