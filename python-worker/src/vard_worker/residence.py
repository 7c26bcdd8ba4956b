"""Where the parts of a pipeline are: text encoders and VAE may live in the CPU's memory while they are not in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

HOME = torch.device("cpu")
DECODERS = frozenset({"vae"})


class Residence:
    """The networks of a pipeline but the one that is trained, which stays on the device.

    ``parts`` are moved to ``device`` for as long as a block lasts that names them, and back to the CPU at its end; without
    ``offload`` they are on the device all the time, and nothing is moved.
    """

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device, offload: bool) -> None:
        self._parts = dict(parts)
        self._device = device
        self._offload = offload
        self._present: set[str] = set()

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """All that prompts are encoded by."""
        with self._on_device(self._parts.keys() - DECODERS):
            yield

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """All that latents are decoded by."""
        with self._on_device(self._parts.keys() & DECODERS):
            yield

    @contextmanager
    def everything(self) -> Iterator[None]:
        """All parts, for a pipeline's own call."""
        with self._on_device(self._parts.keys()):
            yield

    @contextmanager
    def _on_device(self, names: set[str]) -> Iterator[None]:
        absent = sorted(names - self._present) if self._offload else []
        try:
            for name in absent:
                self._parts[name].to(self._device)
                self._present.add(name)
            yield
        finally:
            for name in absent:
                self._parts[name].to(HOME)
                self._present.discard(name)
