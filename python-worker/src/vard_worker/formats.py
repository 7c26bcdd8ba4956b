"""How a checkpoint's settings were written, by the format that its manifest names.

4   ``settings``: the worker's own (``settings.to_json``)
3   the same, before value networks looked ahead: what is absent has its default
2   ``open``: the JSON of the protocol's OpenRequest of that time, which left out what was 0 or empty, an η of 0 too
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vard_worker.settings import (
    AdapterSettings,
    ModelSettings,
    OpenSettings,
    SamplerSettings,
    ValueSettings,
    from_json,
    to_json,
)

FORMAT = 4
"""What is written."""

Json = dict[str, Any]


def written(settings: OpenSettings) -> Json:
    """The part of a checkpoint's state that says how its session was opened."""
    return {"settings": to_json(settings)}


def settings_of(state: Json, written_as: int) -> OpenSettings:
    """Reads what a checkpoint of a format in ``READERS`` says. Raises KeyError, TypeError or ValueError for what it never was."""
    return READERS[written_as](state)


def of_format_2(state: Json) -> OpenSettings:
    opened = Fields(state["open"])
    model = Fields(opened.take("model"))
    adapter, sampler = Fields(model.take("adapter")), Fields(opened.take("sampler"))
    value = opened.take("value", None)
    settings = OpenSettings(
        session_id=opened.take("sessionId", ""),
        model=ModelSettings(
            checkpoint=model.take("checkpoint"),
            adapter=AdapterSettings(adapter.take("rank"), float(adapter.take("alpha")), tuple(adapter.take("targets"))),
            revision=model.take("revision", ""),
            dtype={"FLOAT32": "float32", "BFLOAT16": "bfloat16"}[model.take("dtype")],
            device=model.take("device", "auto"),
        ),
        sampler=SamplerSettings(
            steps=sampler.take("steps"),
            guidance=float(sampler.take("guidance")),
            kind={"DDIM": "ddim", "DDPM": "ddpm"}[sampler.take("kind")],
            eta=float(sampler.take("eta", 0.0)),
        ),
        value=None if value is None else of_value(Fields(value)),
        # 64 bits do not fit into JSON's numbers everywhere: it is text.
        seed=int(opened.take("seed", "0")),
    )
    for fields in (opened, model, adapter, sampler):
        fields.must_be_empty()
    return settings


def of_format_3(state: Json) -> OpenSettings:
    return from_json(state["settings"])


def of_value(value: Fields) -> ValueSettings:
    settings = ValueSettings({"CONV": "conv", "ENCODER": "encoder"}[value.take("kind")], value.take("width", None))
    value.must_be_empty()
    return settings


class Fields:
    """A JSON object's keys, each taken once."""

    def __init__(self, content: Json) -> None:
        self._left = dict(content)

    def take(self, name: str, *default: Any) -> Any:
        return self._left.pop(name, *default)

    def must_be_empty(self) -> None:
        if self._left:
            raise ValueError(f"unknown keys: {', '.join(sorted(self._left))}")


READERS: dict[int, Callable[[Json], OpenSettings]] = {2: of_format_2, 3: of_format_3, 4: of_format_3}
"""By format."""
