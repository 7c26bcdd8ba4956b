"""Whether numbers are numbers. NaN and infinity are told where they first appear, before they become a picture, a score,
a weight or a file."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from vard_worker.errors import Code, WorkerError


def not_finite(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """The first name whose tensor has a NaN or an infinity; None if there is none.

    One pass without a copy: a sum is finite only if all its terms are. Sums that overflow are looked at again, one by one.
    """
    floating = [(name, tensor.detach()) for name, tensor in named if tensor.is_floating_point() and not isinstance(tensor, FakeTensor)]
    if not floating:
        return None
    totals: dict[torch.device, list[Tensor]] = {}
    for _, tensor in floating:
        total = tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32)).double()
        totals.setdefault(tensor.device, []).append(total)
    if all(torch.stack(sums).isfinite().all() for sums in totals.values()):
        return None
    return next((name for name, tensor in floating if not tensor.isfinite().all()), None)


def demand_finite(where: str, named: Iterable[tuple[str, Tensor]], cure: str) -> None:
    """Raises NOT_FINITE, naming the place, the first tensor that is not, and the cure."""
    name = not_finite(named)
    if name is not None:
        raise WorkerError(Code.NOT_FINITE, f"{where}: {name} became NaN or infinite; {cure}")
