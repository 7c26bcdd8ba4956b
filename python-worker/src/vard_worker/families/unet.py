"""What families with a UNet have in common."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from torch import Tensor, nn

from vard_worker.families.base import Condition, Family, Features

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


class UNetFamily(Family):
    """A UNet whose ``sample_size`` says what it was trained on."""

    network = "unet"
    process = "diffusion"
    targets = TARGETS

    def own_size(self) -> tuple[int, int]:
        """Height and width of x."""
        size = self.net.config.sample_size
        return (size, size) if isinstance(size, int) else tuple(size)

    def call(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        """The network's output for a condition without guidance."""
        raise NotImplementedError

    def middle(self) -> tuple[Features, int]:
        """The output of the middle block, which ends the encoder; of the encoder's last block where there is none."""
        unet = self.net
        last = unet.mid_block if unet.mid_block is not None else unet.down_blocks[-1]

        def encode(x_BCHW: Tensor, t_B: Tensor, condition: Condition | None) -> Tensor:
            with self.autocast():
                return reached(last, lambda: self.call(x_BCHW, t_B, condition))

        return encode, unet.config.block_out_channels[-1]


class Reached(Exception):
    """Carries a module's output out of a forward pass."""


def reached(module: nn.Module, forward: object) -> Tensor:
    """What ``module`` gives in ``forward()``. What comes after it is not wanted, and not paid for."""

    def stop(_: nn.Module, arguments: tuple, output: Tensor | tuple[Tensor, ...]) -> None:
        raise Reached(output[0] if isinstance(output, tuple) else output)

    hook = module.register_forward_hook(stop)
    try:
        forward()
    except Reached as found:
        return found.args[0]
    finally:
        hook.remove()
    raise AssertionError("the module was not reached")


def to_uint8(images_BHWC: np.ndarray) -> np.ndarray:
    """[0, 1] to 0..255, rounded as diffusers' ``numpy_to_pil`` rounds."""
    return np.ascontiguousarray((images_BHWC * 255).round().astype("uint8"))
