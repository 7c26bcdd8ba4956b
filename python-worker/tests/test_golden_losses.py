"""The first losses of each family under a fixed seed, recorded once: what every later refactoring is held to.

A family adds its row by ``OMP_NUM_THREADS=1 ./vard python -m pytest python-worker/tests/test_golden_losses.py -k FAMILY``, whose failure
tells the numbers. A number that changes is a change of what runs learn, and says so in its commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from conftest import Client
from vard.v1 import worker_pb2 as pb

IDS = [f"t{i}" for i in range(6)]
TARGETS = {name: (-1.0) ** i * (0.5 + 0.1 * i) for i, name in enumerate(IDS)}


@dataclass(frozen=True)
class Golden:
    """A family's checkpoint, as a fixture's name, how it is opened, and the losses."""

    checkpoint: str
    changes: dict[str, Any]
    fit: tuple[float, ...]
    vard: tuple[float, ...]
    clipped_ratio: tuple[float, ...]
    prompts: tuple[str, ...] = ("cat", "dog")


GOLDEN = {
    "sd": Golden(
        "tiny_sd", changes={},
        fit=(0.549999952, 0.599639952, 0.62418741, 0.598133862),
        vard=(0.00646375213, 0.00687730964, 0.00643563084, 0.00802379474),
        clipped_ratio=(0.0501423292, 0.10079854, 0.000186060555),
    ),
    "sd, encoder": Golden(
        "tiny_sd", changes={"value": pb.ValueConfig(kind=pb.ValueConfig.ENCODER)},
        fit=(0.549999952, 0.599528432, 0.62449193, 0.598522425),
        vard=(0.00593378767, 0.00684761442, 0.00647571171, 0.00712145539),
        clipped_ratio=(0.0501844548, 0.102701858, 0.000214947533),
    ),
    "ddpm": Golden(
        "tiny_ddpm", changes={"sampler": pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0)}, prompts=("",),
        fit=(0.549999952, 0.599778414, 0.624668241, 0.598720253),
        vard=(0.00584800867, 0.00639564497, 0.192981809, 0.5512169),
        clipped_ratio=(0.0502770469, 0.524957061, 0.00013213772),
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", GOLDEN)
def test_the_first_losses_are_the_recorded_ones(client: Client, family: str, request: pytest.FixtureRequest) -> None:
    golden = GOLDEN[family]
    client.open(request.getfixturevalue(golden.checkpoint), **golden.changes)
    client.sample(IDS, prompts=golden.prompts)
    fit = client.fit(TARGETS, steps=4).losses
    # As many steps as move the ratios away from 1.
    vard = [step.loss for step in client.improve(IDS, steps=4, kl_weight=0.5).steps]
    ratio = pb.ClippedRatioObjective(advantages=list(TARGETS.values()), clip=1e-3)
    clipped_ratio = [step.loss for step in client.improve(IDS, steps=3, kl_weight=0.5, clipped_ratio=ratio).steps]
    losses = {"fit": list(fit), "vard": vard, "clipped_ratio": clipped_ratio}
    recorded = {name: list(getattr(golden, name)) for name in losses}
    # Machines differ in the last bits.
    assert losses == {name: pytest.approx(numbers, rel=1e-5, abs=1e-7) for name, numbers in recorded.items()}
