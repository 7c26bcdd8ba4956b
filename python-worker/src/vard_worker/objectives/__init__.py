"""What the adapter is trained by: objectives, registered by their kinds and built by name from numbers and series.

    objectives.register(MyObjective)

makes one known; a request names it by its ``kind``. ``base`` says what an objective is.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

from vard_worker.errors import invalid
from vard_worker.objectives.base import Bound, Objective
from vard_worker.objectives.clipped_ratio import ClippedRatio
from vard_worker.objectives.vard import Vard

OBJECTIVES: dict[str, type[Objective]] = {}
"""By their kinds."""


def register(objective: type[Objective]) -> type[Objective]:
    """Makes an objective known by its ``kind``. Raises ValueError where another has it already, or where a field is neither a
    ``number`` nor a ``series``."""
    if OBJECTIVES.get(objective.kind, objective) is not objective:
        raise ValueError(f"{objective.__name__}: another objective is registered as {objective.kind!r}")
    for field in dataclasses.fields(objective):
        if not isinstance(field.metadata.get("bound"), Bound):
            raise ValueError(f"{objective.__name__}.{field.name}: declare it as number() or series()")
    OBJECTIVES[objective.kind] = objective
    return objective


def path(group: str, name: str) -> str:
    """Where the request has it: ``named.numbers[clip]``."""
    return f"named.{group}[{name}]"


def build(
    kind: str,
    numbers: Mapping[str, float],
    series: Mapping[str, Sequence[float]],
    trajectories: int,
) -> Objective:
    """The objective of that kind. ``series`` have one number for each of the request's trajectories.

    Raises INVALID_ARGUMENT, naming the place, for a kind or name that is not known, and for what
    is missing, not finite, out of its bound, or of another length.
    """
    if kind not in OBJECTIVES:
        raise invalid("named.kind", f"{kind!r} is unknown; this worker has {', '.join(sorted(OBJECTIVES))}")
    declared = dataclasses.fields(OBJECTIVES[kind])
    given: dict[str, float | tuple[float, ...]] = {}
    for group, held in (("numbers", numbers), ("series", series)):
        of_group = {field.name: field for field in declared if field.metadata["bound"].group == group}
        for name in held:
            if name not in of_group:
                raise invalid(path(group, name), f"unknown; {kind} takes {known(of_group, name)}")
        for name, field in of_group.items():
            if name in held:
                given[name] = field.metadata["bound"].checked(path(group, name), held[name], trajectories)
            elif field.default is dataclasses.MISSING:
                raise invalid(path(group, name), f"missing; {kind} needs it")
    return OBJECTIVES[kind](**given)


def known(names: Mapping[str, object], wrong: str) -> str:
    near = difflib.get_close_matches(wrong, names, n=1)
    return f"{', '.join(sorted(names)) or 'none'}{f'; did you mean {near[0]}?' if near else ''}"


for _objective in (Vard, ClippedRatio):
    register(_objective)
