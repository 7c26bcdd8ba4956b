"""The pretrained model: whether its weights are numbers, and whether it is the one that a run began with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vard_worker.finite import not_finite
from vard_worker.model import Model
from vard_worker.model_files import not_loadable

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By the bytes of an element."""


def check_weights(model: Model, checkpoint: str) -> None:
    """Raises MODEL_NOT_LOADABLE for a weight that is NaN or infinite, naming it."""
    if (name := not_finite(pretrained(model))) is not None:
        raise not_loadable(
            checkpoint,
            f"{name} has NaN or infinite numbers: the file is damaged, or overflowed when it was saved as fp16; use another copy, or one saved in float32",
        )


def fingerprint(model: Model) -> str:
    """Of the pretrained weights' bits, hex: the same on every device and for every number of threads.

    Each tensor counts by its name, shape, dtype and the sum of its elements, taken as integers: in a sum of integers no order
    matters. It tells models apart, and a copy that was changed by accident; not one that was made to deceive.
    """
    digest = hashlib.sha256()
    for name, tensor in pretrained(model):
        total = int(tensor.detach().contiguous().view(INTEGERS[tensor.element_size()]).sum(dtype=torch.int64))
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {total}\n".encode())
    return digest.hexdigest()


def check_same(now: str, then: str, checkpoint: str) -> None:
    """Raises MODEL_NOT_LOADABLE unless the fingerprints are one."""
    if now != then:
        raise not_loadable(
            checkpoint,
            "its weights are not those that this run began with and the adapter was trained on: put the model back (for a hub id, name model.revision), or start a new run",
        )


def check_same_configurations(now: dict[str, str], then: dict[str, str], checkpoint: str) -> None:
    """Raises MODEL_NOT_LOADABLE, naming the file, unless the same files say what the weights mean."""
    changed = sorted(file for file in now.keys() | then.keys() if now.get(file) != then.get(file))
    if changed:
        raise not_loadable(
            checkpoint,
            f"{', '.join(changed[:5])} changed since this run began, and the weights may mean something else now: put the model back"
            " (for a hub id, name model.revision), or start a new run",
        )


def pretrained(model: Model) -> Iterator[tuple[str, Tensor]]:
    """Every weight and buffer but the adapter's, by part and name: ``unet: conv_in.weight``."""
    for part, module in model.family.pipeline.components.items():
        if isinstance(module, nn.Module):
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                if not tensor.requires_grad:
                    yield f"{part}: {name.replace('.base_layer', '')}", tensor
