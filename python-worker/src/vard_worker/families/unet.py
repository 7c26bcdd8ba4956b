"""What families with a UNet have in common."""

from __future__ import annotations

from torch import Tensor

from vard_worker.families.base import Condition, Family, Features
from vard_worker.families.features import reached

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
