"""Gradients accumulated over micro-batches are the whole batch's, and a request in pieces is all or nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import Client, refused
from test_policy_gradient import OBJECTIVES, in_float64
from vard.v1 import worker_pb2 as pb
from vard_worker.errors import Code
from vard_worker.session import Session
from vard_worker.trainer import Descent, Trainer
from vard_worker.trajectories import Target

TARGETS = [Target("a", 1.0), Target("b", -1.0), Target("c", 0.3)]
IDS = ["a", "b", "c"]


def never() -> bool:
    return False


def descent(micro_batch: int, steps: int = 3) -> Descent:
    return Descent(steps=steps, batch=7, learning_rate=1e-3, max_gradient_norm=0.5, seed=4, micro_batch=micro_batch)


def fresh(client: Client, checkpoint: Path) -> Session:
    """In float64, the optimisers' moments too."""
    session = in_float64(client, checkpoint, pb.ValueConfig(kind=pb.ValueConfig.CONV, width=16))
    session.policy_optimizer = torch.optim.AdamW(session.model.policies.parameters(), weight_decay=0.0)
    session.value_optimizer = torch.optim.AdamW(session.value.parameters(), weight_decay=0.0)
    return session


@pytest.mark.parametrize("micro_batch", [1, 3, 6])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_policy_step_in_pieces_is_the_whole_one(opened: Client, tiny_sd: Path, objective: str, micro_batch: int) -> None:
    """A batch of 7, in float64: pieces of any size, and a last one that is smaller."""
    ends = []
    for size in (0, micro_batch):
        session = fresh(opened, tiny_sd)
        told = session.improve_policy(IDS, OBJECTIVES[objective], 0.3, descent(size), never).steps
        ends.append((told, [parameter.detach().clone() for parameter in session.model.policies.parameters()]))
        del opened.handler.sessions["f64"]
    (whole, weights), (pieces, others) = ends
    for one, other in zip(whole, pieces, strict=True):
        for name in ("loss", "kl_per_trajectory", "gradient_norm"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6, abs=1e-9)
        assert other.metrics == pytest.approx(one.metrics, rel=1e-6, abs=1e-9)
    for one, other in zip(weights, others, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("micro_batch", [1, 3, 6])
def test_a_value_fit_in_pieces_is_the_whole_one(opened: Client, tiny_sd: Path, micro_batch: int) -> None:
    ends = []
    for size in (0, micro_batch):
        session = fresh(opened, tiny_sd)
        losses = session.fit_value(TARGETS, descent(size), never)
        ends.append((losses, [parameter.detach().clone() for parameter in session.value.parameters()]))
        del opened.handler.sessions["f64"]
    (whole, weights), (pieces, others) = ends
    assert pieces == pytest.approx(whole, rel=1e-6)
    for one, other in zip(weights, others, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("micro_batch", [7, 8, 4096])
def test_a_piece_that_holds_the_batch_is_the_batch_to_the_bit(opened: Client, micro_batch: int) -> None:
    opened.sample(IDS)
    session = opened.handler.sessions["s"]
    start = [parameter.detach().clone() for parameter in session.value.parameters()]
    ends = []
    for size in (0, micro_batch):
        with torch.no_grad():
            for parameter, value in zip(session.value.parameters(), start, strict=True):
                parameter.copy_(value)
        session.value_optimizer = torch.optim.AdamW(session.value.parameters(), weight_decay=0.0)
        session.fit_value(TARGETS, descent(size), never)
        ends.append([parameter.detach().clone() for parameter in session.value.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_pieces_go_through_the_networks_one_after_the_other(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.sample(IDS)
    session = opened.handler.sessions["s"]
    plain, rows = session.model.predict, []
    monkeypatch.setattr(session.model, "predict", lambda x, *others: rows.append(len(x)) or plain(x, *others))
    session.improve_policy(IDS, OBJECTIVES["ddpo"], 0.0, descent(3, steps=1), never)
    # Pretrained model and policy; what comes after is the canary's sampling.
    assert rows[:6] == [3, 3, 3, 3, 1, 1]


def test_nan_in_the_last_piece_leaves_the_weights(opened: Client) -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight], weight_decay=0.0)
    plan = Descent(steps=2, batch=4, learning_rate=0.1, micro_batch=1)
    factors = iter([1.0] * 7 + [math.nan])
    with refused(Code.NOT_FINITE), Trainer(optimizer, plan) as trainer:
        for _ in range(2):
            trainer.step(lambda rows: ((weight * next(factors)).sum(), {}))
            assert not torch.equal(weight, torch.ones(2))
    assert torch.equal(weight, torch.ones(2))
    assert not optimizer.state_dict()["state"] and weight.grad is None


def test_what_is_told_is_the_batchs_mean() -> None:
    weight = nn.Parameter(torch.ones(1))
    numbers = torch.tensor([1.0, 2.0, 3.0, 10.0, 20.0])
    with Trainer(torch.optim.AdamW([weight]), Descent(steps=1, batch=5, learning_rate=0.1, micro_batch=2)) as trainer:
        step = trainer.step(lambda rows: ((weight * numbers[rows]).mean(), {"numbers": numbers[rows].mean()}))
    assert step.loss == pytest.approx(7.2)
    assert step.told == {"numbers": pytest.approx(7.2)}
    assert step.gradient_norm == pytest.approx(7.2)
