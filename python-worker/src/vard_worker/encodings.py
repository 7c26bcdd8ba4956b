"""Encoded prompts, kept: a text encoder may be the largest network of all, and a run asks for the same prompts again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch

from vard_worker.families.base import Condition

MOST_BYTES = 256 << 20
"""Of what is kept: the longest unused go first."""


class Encodings:
    """What ``encode`` makes of prompts, by the prompts that it was given together: their company may change the bits. ``abridge`` makes an
    encoding of one prompt that says the same in less."""

    def __init__(
        self,
        encode: Callable[[list[str]], Condition | None],
        most_bytes: int = MOST_BYTES,
        abridge: Callable[[Condition], Condition] = lambda condition: condition,
    ) -> None:
        self._encode = encode
        self._abridge = abridge
        self._most = most_bytes
        self._held: OrderedDict[tuple[str, ...], Condition | None] = OrderedDict()
        self._bytes = 0

    def together(self, prompts: Sequence[str]) -> Condition | None:
        """Encoded in one batch, as a plain pipeline does."""
        key = tuple(prompts)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        condition = self._encode(list(prompts))
        self._held[key] = condition
        self._bytes += size(condition)
        while self._bytes > self._most and len(self._held) > 1:
            self._bytes -= size(self._held.popitem(last=False)[1])
        return condition

    def apart(self, prompts: Sequence[str]) -> Condition | None:
        """Each encoded on its own, so that the bits do not depend on its company, and abridged."""
        alone = {prompt: self.together([prompt]) for prompt in dict.fromkeys(prompts)}
        short = {prompt: self._abridge(condition) for prompt, condition in alone.items() if condition is not None}
        if not short:
            return None
        parts = [short[prompt] for prompt in prompts]
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    def __contains__(self, prompts: Sequence[str]) -> bool:
        return tuple(prompts) in self._held


def size(condition: Condition | None) -> int:
    """In bytes."""
    return sum(tensor.nbytes for tensor in (condition or {}).values())
