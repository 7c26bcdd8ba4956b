"""What the worker is asked to draw, and what it keeps of the chains it has denoised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor


@dataclass(frozen=True)
class TrajectorySpec:
    """A trajectory to be drawn. ``seed`` seeds a generator of its own; ``prompt`` is empty for unconditional models."""

    id: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Sampling:
    """What a session is asked to draw, and how."""

    specs: tuple[TrajectorySpec, ...]
    batch: int
    """Trajectories denoised together."""
    retain: bool = False
    """Keep the trajectories for fitting and improving."""
    measure_kl: bool = False
    """Measure each trajectory's KL to the pretrained model, for one more forward pass a step."""
    drawn: bool = True
    """Whether anybody sees the pictures, which then have the pipeline's bits."""


@dataclass(frozen=True)
class Trajectory:
    """One chain x_T … x_0.

    ``states`` (T+1, C, H, W), state T is x_0; ``log_probs`` (T,), float32, each step's log-probability under the policy that
    drew it; ``kl`` its KL to the pretrained model in nats, where it was measured; ``clean`` (T+1, C, H, W), of each state the pretrained
    network's x̂_0, where a value network looks ahead.
    """

    prompt: str
    states: Tensor
    log_probs: Tensor
    kl: float | None
    clean: Tensor | None = None


@dataclass(frozen=True)
class Target:
    """What the value network should say along one trajectory: the normalised reward."""

    trajectory_id: str
    value: float


def at(held: Sequence[Trajectory], pairs: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """The states of (trajectory, state) pairs on a device, (B, C, H, W), in float32 at least."""
    return rows([held[i].states[k] for i, k in pairs], device)


def clean_at(held: Sequence[Trajectory], pairs: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """What lies ahead of them, likewise."""
    clean = [trajectory.clean for trajectory in held]
    return rows([cast(Tensor, clean[i])[k] for i, k in pairs], device)


def rows(latents: Sequence[Tensor], device: torch.device) -> Tensor:
    stacked = torch.stack(list(latents))
    return stacked.to(device, torch.promote_types(stacked.dtype, torch.float32))
