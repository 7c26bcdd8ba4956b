"""What a session does, step by step, on a tiny Stable Diffusion and a tiny DDPM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import STEPS, Client, images, ratios
from vard.v1 import worker_pb2 as pb
from vard_worker.trainer import stratified_pairs

IDS = [f"t{i}" for i in range(6)]


def test_open_describes_the_chain_with_the_schedulers_timesteps(client: Client, tiny_sd: Path) -> None:
    session = client.open(tiny_sd)
    # 1000 training timesteps in 5 steps, "leading" with offset 1: timesteps, not indices.
    assert list(session.timesteps) == [801, 601, 401, 201, 1]
    assert list(session.latent_shape) == [4, 8, 8]
    assert list(session.image_shape) == [32, 32, 3]
    assert session.conditional
    assert all(sigma > 0 for sigma in session.sigmas)


def test_images_do_not_depend_on_the_other_images_of_the_request(opened: Client) -> None:
    together = opened.sample(IDS, batch=3, prompts=("cat",))
    alone = opened.sample(["t4"], retain=False, prompts=("cat",))
    # Not the same bits: a batch of another size sums in another order.
    assert np.abs(together[4].astype(int) - alone[0].astype(int)).max() <= 1


def test_kl_is_exactly_zero_while_the_adapter_is_at_its_start(opened: Client) -> None:
    opened.sample(IDS, measure_kl=True)
    assert opened.kl == [0.0] * len(IDS)


def test_improving_moves_the_policy_and_the_measured_kl(opened: Client) -> None:
    before = opened.sample(IDS)
    opened.fit({name: float(i) for i, name in enumerate(IDS)}, steps=20)
    steps = opened.improve(IDS, steps=5).steps
    assert steps[0].kl_per_trajectory == 0.0
    assert steps[-1].kl_per_trajectory > 0.0
    after = opened.sample(IDS, retain=False, measure_kl=True)
    assert (before != after).any()
    assert min(opened.kl) > 0.0


def test_fitting_lowers_the_error(opened: Client) -> None:
    opened.sample(IDS)
    losses = opened.fit({name: float(i % 2) for i, name in enumerate(IDS)}, steps=60).losses
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_evaluate_reports_each_state_from_noise_to_finished(opened: Client) -> None:
    opened.sample(IDS)
    targets = [pb.Target(trajectory_id=name, value=i) for i, name in enumerate(IDS)]
    by_state = opened.call("Evaluate", pb.EvaluateRequest(session_id="s", targets=targets, batch=4))[0].by_state
    assert [quality.timestep for quality in by_state] == [801, 601, 401, 201, 1, -1]
    # A new network says 0 everywhere: its error is the targets' mean square, worse than their mean by that mean's square.
    assert by_state[0].mse == pytest.approx(np.mean(np.arange(6.0) ** 2))
    assert by_state[0].r2 == pytest.approx(1 - np.mean(np.arange(6.0) ** 2) / np.var(np.arange(6.0)))
    assert np.isnan(by_state[0].correlation)


def test_encoder_value_learns_and_guides_the_policy(client: Client, tiny_sd: Path) -> None:
    client.open(tiny_sd, value=pb.ValueConfig(kind=pb.ValueConfig.ENCODER, width=32))
    client.sample(IDS)
    losses = client.fit({name: float(i % 2) for i, name in enumerate(IDS)}, steps=60).losses
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    assert client.improve(IDS).steps[0].gradient_norm > 0


def test_ddpo_ratio_is_one_before_the_first_step(opened: Client) -> None:
    opened.sample(IDS)
    objective = ratios([2.0] * len(IDS), clip=1e-3)
    step = opened.improve(IDS, steps=1, kl_weight=0.0, named=objective).steps[0]
    assert step.metrics["objective"] == pytest.approx(-2.0, abs=1e-4)
    assert step.metrics["clipped"] == 0.0


def test_unconditional_pipeline_is_fine_tuned(client: Client, tiny_ddpm: Path) -> None:
    session = client.open(tiny_ddpm, sampler=pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0))
    assert not session.conditional
    assert session.sigmas[-1] == 0.0
    drawn = client.sample(IDS, prompts=("",))
    assert drawn.shape == (6, 16, 16, 3)
    client.fit({name: float(i) for i, name in enumerate(IDS)}, steps=20)
    client.improve(IDS, steps=4)
    client.sample(IDS, retain=False, measure_kl=True, prompts=("",))
    assert all(np.isfinite(client.kl)) and min(client.kl) > 0


def test_v_prediction_is_fine_tuned(client: Client, tmp_path: Path) -> None:
    from vard_worker.testing import tiny_sd

    tiny_sd("v_prediction").save_pretrained(tmp_path / "v")
    client.open(tmp_path / "v")
    client.sample(IDS)
    client.fit({name: float(i) for i, name in enumerate(IDS)}, steps=10)
    assert client.improve(IDS, steps=3).steps[-1].kl_per_trajectory > 0


def test_bfloat16_is_fine_tuned(client: Client, tiny_sd: Path) -> None:
    client.open(tiny_sd, model=pb.ModelConfig(dtype=pb.BFLOAT16))
    assert client.sample(IDS).std() > 0
    client.fit({name: float(i) for i, name in enumerate(IDS)}, steps=10)
    assert client.improve(IDS, steps=3).steps[-1].kl_per_trajectory > 0


def test_reference_is_untouched_by_training(opened: Client) -> None:
    before = opened.sample(IDS)
    opened.fit({name: float(i) for i, name in enumerate(IDS)}, steps=10)
    opened.improve(IDS, steps=5)
    session = opened.handler.sessions["s"]
    with session.model.reference():
        again = opened.sample(IDS, retain=False)
    assert (again == before).all()


def test_large_kl_weight_keeps_the_policy_at_the_pretrained_one(client: Client, tiny_sd: Path) -> None:
    def trained_kl(session_id: str, kl_weight: float) -> float:
        trainee = Client(client.handler, session_id)
        trainee.open(tiny_sd)
        trainee.sample(IDS)
        trainee.fit({name: float(i) for i, name in enumerate(IDS)}, steps=20)
        for _ in range(5):
            trainee.improve(IDS, steps=4, kl_weight=kl_weight)
        trainee.sample(IDS, retain=False, measure_kl=True)
        return float(np.mean(trainee.kl))

    assert trained_kl("heavy", 1e4) < 0.05 * trained_kl("free", 0.0)


def test_chunks_hold_about_a_mebibyte_of_whole_images(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vard_worker.session.CHUNK_BYTES", 2 * 32 * 32 * 3 + 5)
    request = pb.SampleRequest(session_id="s", trajectories=[pb.TrajectorySpec(id=name, prompt="cat", seed=i) for i, name in enumerate(IDS)], batch=3)
    parts = opened.call("Sample", request)
    assert [(part.images.first, part.images.shape[0]) for part in parts[:-1]] == [(0, 2), (2, 1), (3, 2), (5, 1)]
    assert images(parts).shape == (6, 32, 32, 3)
    assert parts[-1].summary.images == 6


def test_pairs_are_stratified_over_trajectories_and_steps() -> None:
    pairs = stratified_pairs(3, STEPS, 2 * 3 * STEPS, torch.Generator().manual_seed(0), lambda: False).tolist()
    assert np.bincount([i for i, _ in pairs]).tolist() == [2 * STEPS] * 3
    assert np.bincount([k for _, k in pairs]).tolist() == [6] * STEPS
    assert sorted(k for _, k in pairs[:STEPS]) == list(range(STEPS))
