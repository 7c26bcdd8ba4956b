"""Objectives are built by name; what is wrong is named by its place, before anything is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from conftest import Client, open_request, refused
from vard.v1 import worker_pb2 as pb
from vard_worker import objectives
from vard_worker.errors import Code
from vard_worker.objectives import ClippedRatio, Objective, Vard
from vard_worker.objectives.base import Need, Terms, number, series

IDS = ["a", "b", "c"]
ADVANTAGE = {"advantage": [1.0, 0.0, -1.0]}


def test_objectives_are_built_by_name() -> None:
    assert objectives.build("vard", {}, {}, 3) == Vard()
    assert objectives.build("clipped-ratio", {"clip": 0.1}, ADVANTAGE, 3) == ClippedRatio(advantage=(1.0, 0.0, -1.0), clip=0.1)


@pytest.mark.parametrize(
    ("kind", "numbers", "series_", "field", "told"),
    [
        ("bard", {}, {}, "named.kind", "clipped-ratio, vard"),
        ("", {}, {}, "named.kind", "unknown"),
        ("vard", {"clip": 0.1}, {}, "named.numbers[clip]", "vard takes none"),
        ("vard", {}, ADVANTAGE, "named.series[advantage]", "vard takes none"),
        ("clipped-ratio", {"clp": 0.1}, ADVANTAGE, "named.numbers[clp]", "did you mean clip?"),
        ("clipped-ratio", {}, ADVANTAGE, "named.numbers[clip]", "missing"),
        ("clipped-ratio", {"clip": 0.1}, {}, "named.series[advantage]", "missing"),
        ("clipped-ratio", {"clip": math.nan}, ADVANTAGE, "named.numbers[clip]", "not finite"),
        ("clipped-ratio", {"clip": 0.0}, ADVANTAGE, "named.numbers[clip]", "not above 0"),
        ("clipped-ratio", {"clip": 0.1}, {"advantage": [1.0]}, "named.series[advantage]", "1 for 3 trajectories"),
        ("clipped-ratio", {"clip": 0.1}, {"advantage": [1.0, math.inf, 0.0]}, "named.series[advantage][1]", "not finite"),
    ],
)
def test_what_does_not_fit_is_named(kind: str, numbers: dict, series_: dict, field: str, told: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        objectives.build(kind, numbers, series_, 3)
    assert caught.value.field == field
    assert told in caught.value.message


def named(kind: str, numbers: dict[str, float] | None = None, series_: dict[str, list[float]] | None = None) -> pb.Objective:
    return pb.Objective(kind=kind, numbers=numbers or {}, series={name: pb.Objective.Series(values=values) for name, values in (series_ or {}).items()})


def test_metrics_come_by_name(opened: Client) -> None:
    opened.sample(IDS)
    opened.fit({"a": 1.0, "b": -1.0, "c": 0.0})
    step = opened.improve(IDS, named=named("vard")).steps[1]
    assert set(step.metrics) == {"objective"}
    ratio = opened.improve(IDS, steps=4, named=named("clipped-ratio", {"clip": 1e-6}, ADVANTAGE)).steps[-1]
    assert set(ratio.metrics) == {"objective", "clipped"}
    assert 0 < ratio.metrics["clipped"] <= 1


def test_ratios_need_a_chain_with_noise(client: Client, tiny_sd: Path) -> None:
    request = open_request(tiny_sd)
    request.sampler.eta = 0.0
    client.call("Open", request)
    client.sample(IDS)
    with refused(Code.INVALID_ARGUMENT) as caught:
        client.improve(IDS, named=named("clipped-ratio", {"clip": 0.1}, ADVANTAGE))
    assert "sampler.eta" in caught.value.message
    assert client.handler.sessions["s"].operation == 1


@dataclass(frozen=True)
class Reluctant(Objective):
    """Asks for what trajectories lack unless it was measured."""

    kind: ClassVar[str] = "reluctant"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.KL})

    def loss(self, batch) -> Terms:
        return batch.terms(batch.mean_BCHW.mean())


def test_kl_that_was_not_measured_is_missed_before_anything_is_done(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", dict(objectives.OBJECTIVES))
    objectives.register(Reluctant)
    opened.sample(IDS)
    with refused(Code.INVALID_ARGUMENT) as caught:
        opened.improve(IDS, named=named("reluctant"))
    assert "measure_kl" in caught.value.message
    assert opened.handler.sessions["s"].operation == 1
    opened.sample(["d"], measure_kl=True)
    opened.improve(["d"], named=named("reluctant"))


def test_a_kind_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", dict(objectives.OBJECTIVES))

    @dataclass(frozen=True)
    class Other(Vard):
        pass

    with pytest.raises(ValueError, match="registered as 'vard'"):
        objectives.register(Other)
    assert objectives.register(Vard) is Vard


def test_fields_are_numbers_or_series() -> None:
    @dataclass(frozen=True)
    class Undeclared(Vard):
        kind: ClassVar[str] = "undeclared"
        scale: float = 1.0

    with pytest.raises(ValueError, match="scale"):
        objectives.register(Undeclared)


def test_defaults_and_bounds_are_an_objectives_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", dict(objectives.OBJECTIVES))

    @dataclass(frozen=True, kw_only=True)
    class Bounded(Vard):
        kind: ClassVar[str] = "bounded"
        share: float = number(0.5, least=0.0, most=1.0)
        weight: tuple[float, ...] = series(least=0.0)

    objectives.register(Bounded)
    assert objectives.build("bounded", {}, {"weight": [1.0]}, 1) == Bounded(weight=(1.0,), share=0.5)
    for numbers, weights, field in (({"share": 1.5}, [1.0], "named.numbers[share]"), ({}, [-1.0], "named.series[weight][0]")):
        with refused(Code.INVALID_ARGUMENT) as caught:
            objectives.build("bounded", numbers, {"weight": weights}, 1)
        assert caught.value.field == field
