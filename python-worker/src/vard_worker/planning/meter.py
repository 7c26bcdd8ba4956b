"""How many bytes of tensors an operation needs at its peak, counted while it runs on tensors that may be fake."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Meter(TorchDispatchMode):
    """Counts what is alive, storage by storage, of what operators make while it is on. ``known`` was there before."""

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.peak = 0
        """Bytes."""
        self._live = 0
        self._sizes: dict[int, int] = {}
        self._known = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        # A view is of what was there before.
        given = {tensor.untyped_storage()._cdata for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in given:
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known or key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self._live += storage.nbytes()
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._live -= self._sizes.pop(key, 0)


@contextmanager
def on_gpu() -> Iterator[None]:
    """Takes operators for what they are on a GPU: attention keeps no matrix of all pairs of positions, and under autocast norms
    are computed in float32. Backwards too, where no mode of PyTorch's own is on while activations are computed again; so the
    functions themselves are exchanged, in a worker whose one thread computes."""

    def norm(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def called(x: Tensor, *rest: Any, **named: Any) -> Tensor:
            if not torch.is_autocast_enabled("cpu"):
                return plain(x, *rest, **named)
            return plain(x.float(), *map(in_float32, rest), **{name: in_float32(one) for name, one in named.items()})

        return called

    def attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        return Flash.apply(query, key, value)

    kept = {name: getattr(F, name) for name in ("scaled_dot_product_attention", "group_norm", "layer_norm")}
    F.scaled_dot_product_attention = attention
    F.group_norm, F.layer_norm = norm(F.group_norm), norm(F.layer_norm)
    try:
        yield
    finally:
        for name, plain in kept.items():
            setattr(F, name, plain)


def in_float32(argument: Any) -> Any:
    return argument.float() if isinstance(argument, Tensor) else argument


class Flash(torch.autograd.Function):
    """The sizes of fused attention: it keeps q, k, v, its output and a number for each row and head."""

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty((*query.shape[:-1], value.shape[-1]))
        context.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, *_ = context.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
