"""A KL budget that holds: η within a phase, and the adapter scaled by what fresh trajectories measure."""

from __future__ import annotations

import math

import pytest
import torch

from conftest import Client, images, refused
from vard.v1 import worker_pb2 as pb
from vard_worker.kl_budget import MARGIN, MOST_RAISE, WALL, KlWeight
from vard_worker.session import Session

IDS = ["a", "b", "c", "d"]
PROBES = [pb.TrajectorySpec(id=f"probe-{i}", prompt=("cat", "dog")[i % 2], seed=100 + i) for i in range(6)]


def improve(client: Client, aim: float, least: float = 0.0, steps: int = 20, **changes: object) -> pb.ImprovePolicyResponse:
    budget = pb.KlBudget(aim=aim, least=least, probes=PROBES, batch=4)
    request = pb.ImprovePolicyRequest(
        trajectory_ids=IDS, steps=steps, batch=4, learning_rate=1e-2, seed=3, kl_weight=1e-6, named=pb.Objective(kind="vard"), kl_budget=budget
    )
    request.MergeFrom(pb.ImprovePolicyRequest(**changes))
    return client.change("ImprovePolicy", request)[0]


@pytest.fixture
def fitted(opened: Client) -> Client:
    opened.sample(IDS)
    opened.fit({name: float(i) for i, name in enumerate(IDS)}, steps=10)
    return opened


def measured(client: Client) -> float:
    """The probes' KL, as an evaluation measures it."""
    parts = client.call("Sample", pb.SampleRequest(session_id="s", trajectories=PROBES, batch=4, measure_kl=True))
    assert len(images(parts)) == len(PROBES)
    kls = [kl for part in parts for kl in part.images.kl]
    return sum(kls) / len(kls)


def test_the_adapter_is_scaled_back_to_the_aim(fitted: Client) -> None:
    free = improve(fitted, aim=1e6)
    assert len(free.probed_kl) == 1 and free.scale == 1.0
    far = measured(fitted)
    assert far == pytest.approx(free.probed_kl[0], rel=1e-4)
    aim = far / 10
    held = improve(fitted, aim=aim, steps=1)
    assert held.scale < 0.5
    assert held.probed_kl[0] > aim >= held.probed_kl[-1]
    assert measured(fitted) == pytest.approx(held.probed_kl[-1], rel=1e-4)
    # The KL falls nearly as the square of the scale, so that little is given away.
    assert held.probed_kl[-1] > 0.8 * aim


def test_the_adapter_is_scaled_up_where_a_least_is_given(fitted: Client) -> None:
    kl = improve(fitted, aim=1e6).probed_kl[0]
    left = improve(fitted, aim=1.5 * kl, least=0.0, steps=1, learning_rate=1e-9)
    assert left.scale == 1.0
    raised = improve(fitted, aim=1.5 * kl, least=1.4 * kl, steps=1, learning_rate=1e-9)
    assert 1.0 < raised.scale < MOST_RAISE
    assert 1.4 * kl <= measured(fitted) <= 1.5 * kl * 1.001


def test_the_probes_leave_nothing_behind(fitted: Client) -> None:
    improve(fitted, aim=1e6)
    session: Session = fitted.handler.sessions["s"]
    assert list(session.trajectories) == IDS


def test_a_phase_is_the_same_without_probes_where_the_budget_is_out_of_sight(fitted: Client) -> None:
    """What only measures changes no bit."""
    session: Session = fitted.handler.sessions["s"]
    before = {name: weight.detach().clone() for name, weight in session.model.policies.weights().items()}
    with_budget = improve(fitted, aim=1e9)
    after = {name: weight.detach().clone() for name, weight in session.model.policies.weights().items()}
    session.policy_optimizer.state.clear()
    for name, weight in session.model.policies.weights().items():
        weight.data.copy_(before[name])
    request = pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=20, batch=4, learning_rate=1e-2, seed=3, kl_weight=1e-6, named=pb.Objective(kind="vard"))
    plain = fitted.change("ImprovePolicy", request)[0]
    assert [step.loss for step in plain.steps] == [step.loss for step in with_budget.steps]
    assert all(torch.equal(weight, after[name]) for name, weight in session.model.policies.weights().items())
    assert not plain.probed_kl and plain.scale == 1.0 and plain.kl_weight == 1e-6


def test_the_rate_falls_within_a_phase(fitted: Client) -> None:
    """The last step's is the final one: of a phase whose others are tiny, it alone moves."""
    session: Session = fitted.handler.sessions["s"]
    improve(fitted, aim=1e6, steps=3, final_learning_rate=1e-12)
    assert {group["lr"] for group in session.policy_optimizer.param_groups} == {1e-12}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("kl_budget.aim", {"aim": 0.0}),
        ("kl_budget.aim", {"aim": math.nan}),
        ("kl_budget.least", {"aim": 1.0, "least": 2.0}),
        ("kl_budget.probes", {"aim": 1.0, "probes": []}),
        ("kl_budget.probes.id", {"aim": 1.0, "probes": [PROBES[0], PROBES[0]]}),
        ("kl_budget.batch", {"aim": 1.0, "batch": 0}),
    ],
)
def test_a_budget_that_holds_nothing_is_refused(fitted: Client, field: str, changes: dict) -> None:
    budget = pb.KlBudget(**{"aim": 1.0, "probes": PROBES, "batch": 4} | changes)
    request = pb.ImprovePolicyRequest(
        trajectory_ids=IDS, steps=1, batch=4, learning_rate=1e-2, kl_weight=0.1, named=pb.Objective(kind="vard"), kl_budget=budget
    )
    with refused(pb.INVALID_ARGUMENT) as caught:
        fitted.change("ImprovePolicy", request)
    assert caught.value.field == field


class TestWeight:
    def test_without_an_aim_it_stays(self) -> None:
        weight = KlWeight(0.3)
        weight.saw(1e9)
        assert weight.now() == weight.eta == 0.3

    def test_far_below_the_aim_it_stays(self) -> None:
        weight = KlWeight(0.3, aim=10.0)
        for kl in (0.0, 1.0, 5.0):
            weight.saw(kl)
        assert weight.now() == weight.eta == 0.3

    def test_above_the_aim_it_rises_and_each_nat_costs_more_at_once(self) -> None:
        weight = KlWeight(0.3, aim=10.0)
        weight.saw(15.0)
        assert weight.eta > 0.3
        assert weight.now() == pytest.approx(weight.eta + WALL / 10.0 * 0.5)
        before = weight.eta
        weight.saw(15.0)
        assert weight.eta > before

    def test_just_below_the_aim_it_falls_a_little(self) -> None:
        weight = KlWeight(0.3, aim=10.0)
        weight.saw(8.0)
        assert 0.29 < weight.eta < 0.3
        assert weight.now() == weight.eta


def test_the_margin_leaves_room() -> None:
    assert 0.9 < MARGIN < 1
