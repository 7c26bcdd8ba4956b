"""What is exported draws, in a plain diffusers process, the very images that the session draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import STEPS, Client
from vard.v1 import worker_pb2 as pb

PLAIN_DIFFUSERS = """
import sys
import numpy as np, torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

checkpoint, lora, steps, out = sys.argv[1:]
torch.set_num_threads(1)
pipe = StableDiffusionPipeline.from_pretrained(checkpoint)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
if lora:
    pipe.load_lora_weights(lora)
images = pipe(
    ["cat", "dog", "cat"], num_inference_steps=int(steps), guidance_scale=3.0, eta=1.0, output_type="np",
    generator=[torch.Generator("cpu").manual_seed(seed) for seed in (11, 12, 13)],
).images
np.save(out, (images * 255).round().astype("uint8"))
assert "vard_worker" not in sys.modules
"""


@pytest.fixture
def opened(client: Client, tiny_sd: Path) -> Client:
    """Adapts convolutions as well as attention, as the example does."""
    client.open(tiny_sd, model=pb.ModelConfig(adapter=pb.AdapterConfig(targets=["conv1", "conv2"])))
    return client


@pytest.fixture
def drawn(tmp_path: Path):
    """Draws with a plain diffusers process, with or without the session's LoRA."""

    def draw(checkpoint: Path, lora: str) -> np.ndarray:
        out = tmp_path / "images.npy"
        arguments = [str(checkpoint), lora, str(STEPS), str(out)]
        subprocess.run([sys.executable, "-c", PLAIN_DIFFUSERS, *arguments], check=True, timeout=300, env={"PATH": "", "HF_HUB_OFFLINE": "1"})
        return np.load(out)

    return draw


def held_out(client: Client) -> np.ndarray:
    from conftest import images

    specs = [pb.TrajectorySpec(id=str(i), prompt=prompt, seed=11 + i) for i, prompt in enumerate(["cat", "dog", "cat"])]
    return images(client.call("Sample", pb.SampleRequest(session_id="s", trajectories=specs, batch=3)))


def test_plain_diffusers_draws_the_same_images_pixel_for_pixel(opened: Client, tiny_sd: Path, tmp_path: Path, drawn) -> None:
    pretrained = held_out(opened)
    assert (drawn(tiny_sd, "") == pretrained).all()

    ids = [f"t{i}" for i in range(8)]
    opened.sample(ids)
    opened.fit({name: float(i) for i, name in enumerate(ids)}, steps=20)
    opened.improve(ids, steps=10)
    lora = opened.export(tmp_path / "export")
    assert Path(lora.file).name == "pytorch_lora_weights.safetensors"
    fine_tuned = held_out(opened)
    assert (fine_tuned != pretrained).any()
    # alpha is 8 and rank 4: a loader that lost alpha would draw other images.
    assert (drawn(tiny_sd, str(tmp_path / "export")) == fine_tuned).all()


def test_the_same_adapter_exports_to_the_same_bytes(opened: Client, tmp_path: Path) -> None:
    assert opened.export(tmp_path / "one").sha256 == opened.export(tmp_path / "other").sha256
