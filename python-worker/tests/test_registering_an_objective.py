"""An objective from outside: one class and one call, and it trains through the handler. Nothing of the worker is edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from conftest import Client, refused
from vard.v1 import worker_pb2 as pb
from vard_worker import objectives
from vard_worker.errors import Code
from vard_worker.objectives.base import Need, Objective, Terms, number, series
from vard_worker.objectives.batch import Batch
from vard_worker.trajectories import Trajectory

IDS = ["a", "b", "c", "d"]


@dataclass(frozen=True)
class Regression(Objective):
    """Reward-weighted regression: the policy's mean is drawn to recorded steps, the more so the better their trajectory, by
    softmax(r / temperature); L = E[w ‖x_{t-1} - μ_t‖² / D] + η E[KL_t]."""

    kind: ClassVar[str] = "weighted-regression"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.LOG_PROBS})
    reward: tuple[float, ...] = series()
    temperature: float = number(1.0, above=0.0)

    def prepare(self, held: Sequence[Trajectory]) -> Objective:
        weights = torch.softmax(torch.tensor(self.reward) / self.temperature, dim=0) * len(held)
        return replace(self, reward=tuple(weights.tolist()))

    def loss(self, batch: Batch) -> Terms:
        error_B = (batch.recorded_BCHW - batch.mean_BCHW).square().flatten(1).mean(1)
        weight_B = batch.of(self.reward)
        return batch.terms((weight_B * error_B).mean(), error=error_B.mean(), weight=weight_B.mean())


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "OBJECTIVES", dict(objectives.OBJECTIVES))
    objectives.register(Regression)


def request(temperature: float = 0.5) -> pb.Objective:
    rewards = pb.Objective.Series(values=[1.0, -1.0, 0.5, 0.0])
    return pb.Objective(kind="weighted-regression", numbers={"temperature": temperature}, series={"reward": rewards})


def test_it_trains_and_tells_metrics_of_its_own(opened: Client) -> None:
    opened.sample(IDS)
    session = opened.handler.sessions["s"]
    before = [weight.detach().clone() for weight in session.model.policies.parameters()]
    steps = opened.improve(IDS, steps=20, kl_weight=0.0, named=request()).steps
    assert {frozenset(step.metrics) for step in steps} == {frozenset({"objective", "error", "weight"})}
    assert steps[0].metrics["error"] > 0
    assert steps[-1].kl_per_trajectory > 0
    assert any(not torch.equal(weight, old) for weight, old in zip(session.model.policies.parameters(), before, strict=True))


def test_what_it_takes_is_checked_by_its_own_words(opened: Client) -> None:
    opened.sample(IDS)
    with refused(Code.INVALID_ARGUMENT) as caught:
        opened.improve(IDS, named=request(temperature=0.0))
    assert caught.value.field == "named.numbers[temperature]"
    opened.improve(IDS, named=pb.Objective(kind="weighted-regression", series={"reward": pb.Objective.Series(values=[0.0] * 4)}))


def test_a_cold_temperature_follows_the_best_trajectory_alone(opened: Client) -> None:
    opened.sample(IDS)
    step = opened.improve(IDS, steps=1, kl_weight=0.0, named=request(temperature=0.01)).steps[0]
    # One of the batch's four pairs is the best trajectory's, and has the weight of all four.
    assert step.metrics["weight"] == pytest.approx(1.0)
