"""What the worker keeps of the chains it has denoised."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Trajectory:
    """One chain x_T … x_0, on the model's device.

    ``states`` (T+1, C, H, W), state T is x_0; ``log_probs`` (T,), each step's log-probability under the policy that
    drew it; ``kl`` its KL to the pretrained model in nats, where it was measured.
    """

    prompt: str
    states: Tensor
    log_probs: Tensor
    kl: float | None
