"""What the worker is asked to draw, and what it keeps of the chains it has denoised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Trajectory:
    """One chain x_T … x_0.

    ``states`` (T+1, C, H, W), state T is x_0; ``log_probs`` (T,), float32, each step's log-probability under the policy that
    drew it; ``kl`` its KL to the pretrained model in nats, where it was measured.
    """

    prompt: str
    states: Tensor
    log_probs: Tensor
    kl: float | None


@dataclass(frozen=True)
class Target:
    """What the value network should say along one trajectory: the normalised reward."""

    trajectory_id: str
    value: float


def at(held: Sequence[Trajectory], pairs: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """The states of (trajectory, state) pairs on a device, (B, C, H, W), in float32 at least."""
    states = torch.stack([held[i].states[k] for i, k in pairs])
    return states.to(device, torch.promote_types(states.dtype, torch.float32))
