"""What a session holds of a pretrained pipeline: its family, the chain that it is sampled by, and the policies on its network."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vard_worker.chains import Chain
from vard_worker.encodings import Encodings
from vard_worker.families import Condition, Drawing, Drawn, Family
from vard_worker.families.base import Features
from vard_worker.policies import PRETRAINED, Policies
from vard_worker.residence import Residence

LORA_FILE = "pytorch_lora_weights.safetensors"
DECODED_PIXELS = 1 << 21
"""Of the images that a VAE decodes together, two of 1024 × 1024: its activations grow with them."""


@dataclass
class Model:
    """family × chain × policies.

    ``fresh_net`` reads the pretrained network from the checkpoint once more, without an adapter.
    """

    family: Family
    chain: Chain
    policies: Policies
    fresh_net: Callable[[], nn.Module]
    configurations: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of the checkpoint that says what its weights mean, by its path."""

    offload: bool = False
    """Whether text encoders and VAE live in the CPU's memory while they are not in use."""

    def __post_init__(self) -> None:
        parts = {name: part for name, part in self.family.networks().items() if part is not self.net}
        self.residence = Residence(parts, self.device, self.offload)
        self.encodings = Encodings(self._encode, abridge=self.family.abridged)

    @property
    def net(self) -> nn.Module:
        return self.family.net

    @property
    def device(self) -> torch.device:
        return self.family.device

    @property
    def dtype(self) -> torch.dtype:
        return self.family.dtype

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return self.family.latent_shape

    def encode(self, prompts: list[str]) -> Condition | None:
        """Encodes prompts together, as a plain pipeline does."""
        return self.encodings.together(prompts)

    def condition(self, prompts: list[str]) -> Condition | None:
        """Encodes prompts for training: each on its own and once, so that the bits do not depend on its company, and abridged where the
        family can: the network's output is then the same to rounding."""
        # Once for all of them: where they are moved for it, the encoders are larger than what they say.
        with self.residence.encoding() if any([prompt] not in self.encodings for prompt in prompts) else nullcontext():
            return self.encodings.apart(prompts)

    def _encode(self, prompts: list[str]) -> Condition | None:
        with self.residence.encoding():
            return self.family.encode(prompts)

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        """The network's output at the chain's time ``t`` (a scalar, or (B,)), after guidance; of x's shape and dtype."""
        return self.family.predict(x_BCHW, t, condition)

    def lookahead(self, x_BCHW: Tensor, state_B: Tensor, condition: Condition | None) -> Tensor:
        """x̂_0, what the pretrained network says of the clean sample from the chain's states ``state_B``; x itself where that is the
        finished one. Shape (B, C, H, W), differentiable in x."""
        step_B = state_B.clamp(max=self.chain.steps - 1)
        with self.reference():
            output = self.predict(x_BCHW, self.chain.timesteps[step_B], condition)
        finished_B = state_B == self.chain.steps
        return torch.where(finished_B.view(-1, 1, 1, 1), x_BCHW, self.chain.clean(output, x_BCHW, step_B))

    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        """Finished latents to RGB images, uint8, shape (B, height, width, 3): as many together as ``DECODED_PIXELS`` allow."""
        height, width, _ = self.family.image_shape
        with self.residence.decoding():
            parts = [self.family.decode(part) for part in x_BCHW.split(max(1, DECODED_PIXELS // (height * width)))]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def reference(self) -> AbstractContextManager[None]:
        """The pretrained policy, for as long as the block lasts."""
        return self.policies.use(PRETRAINED)

    def encoder(self) -> tuple[Features, int]:
        """The frozen first half of the pretrained network, differentiable in x, and its output's channels."""
        features, channels = self.family.middle()

        def encode(x_BCHW: Tensor, t_B: Tensor, condition: Condition | None) -> Tensor:
            with self.reference():
                return features(x_BCHW, t_B, condition)

        return encode, channels

    def draw(self, net: nn.Module, prompts: tuple[str, ...], seeds: tuple[int, ...]) -> Drawn:
        """Pictures by the pipeline's own call with this network, in as many steps as the chain has."""
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        net = net if self.dtype == torch.float32 else Mixed(net, self.family)
        with torch.no_grad(), self.residence.everything():
            return self.family.draw(net, Drawing(prompts, generators, self.chain.new_scheduler(generators), self.chain.steps, self.chain.eta))

    def shortened(self, steps: int) -> Model:
        """The same networks with a chain of at most ``steps`` steps."""
        scheduler = self.chain.new_scheduler()
        self.family.set_timesteps(scheduler, min(steps, self.chain.steps))
        eta = self.chain.shortened_eta(scheduler, self.chain.eta)
        return Model(self.family, type(self.chain)(scheduler, eta, self.device), self.policies, self.fresh_net, self.configurations, self.offload)

    def export(self, folder: Path) -> Path:
        """Writes ``pytorch_lora_weights.safetensors``, which diffusers' ``load_lora_weights`` reads."""
        self.family.save_lora(folder, *self.policies.exported())
        file = folder / LORA_FILE
        sort_header(file)
        return file


class Mixed(nn.Module):
    """A network as a session runs it in bfloat16: under autocast, with float32 on both sides."""

    dtype = torch.float32

    def __init__(self, net: nn.Module, family: Family) -> None:
        super().__init__()
        self.net, self._autocast = net, family.autocast
        self.config, self.device = net.config, family.device

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            # Pipelines ask a network for more than its output: a cache's context, its embedding's width.
            return getattr(super().__getattr__("net"), name)

    def forward(self, *arguments: object, **named: object) -> object:
        with self._autocast():
            output = self.net(*arguments, **named)
        if isinstance(output, tuple):
            return (output[0].float(),)
        output.sample = output.sample.float()
        return output


def sort_header(file: Path) -> None:
    """Puts a safetensors file's header in order. The library writes its metadata in one that differs from call to call,
    and equal weights are to make equal files.

    The format: an unsigned 64-bit little-endian length, that many bytes of JSON (padded by spaces), the tensors' bytes.
    """
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
