"""Every model family, through the handler as a run goes: opened, sampled, fitted, improved, exported, and drawn by plain diffusers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from conftest import STEPS, Client, open_request, refused
from vard.v1 import worker_pb2 as pb
from vard_worker import testing

IDS = ["a", "b", "c", "d"]
DIFFUSION = ["tiny-sd-pruned", "tiny-sdxl", "tiny-sdxl-v", "tiny-sdxl-pruned"]
FLOWS = ["tiny-sd3", "tiny-sd3-clip", "tiny-sd3-dual", "tiny-flux", "tiny-flux-schnell", "tiny-sana"]
KINDS = [*DIFFUSION, *FLOWS]


def own(kind: str) -> pb.SamplerConfig:
    """The family's own chain, with its own η."""
    return pb.SamplerConfig(steps=STEPS, guidance=1.0 if kind == "tiny-flux-schnell" else 3.0)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    for kind in KINDS:
        testing.CHECKPOINTS[kind]().save_pretrained(root / kind)
    return {kind: root / kind for kind in KINDS}


def open_own(client: Client, checkpoint: Path, **changes: object) -> pb.SessionDescription:
    """With the family's own chain, η and targets."""
    request = open_request(checkpoint)
    request.sampler.CopyFrom(own(checkpoint.name))
    del request.model.adapter.targets[:]
    if "flux" in checkpoint.name:
        # Flux says nothing of its size; its pipeline's is 1024 pixels.
        request.model.height = request.model.width = 32
    for name, change in changes.items():
        getattr(request, name).MergeFrom(change)
    return client.call("Open", request)[0].session


def train(client: Client) -> list[pb.PolicyStep]:
    for name in ("1", "2", "3"):
        ids = [f"{name}{i}" for i in IDS]
        client.sample(ids)
        client.fit({key: float(i % 3) for i, key in enumerate(ids)}, steps=5)
        steps = client.improve(ids, kl_weight=0.001).steps
    return list(steps)


def plain(checkpoint: Path) -> DiffusionPipeline:
    """Diffusers wants to be told of parts that are not there."""
    index = json.loads((checkpoint / "model_index.json").read_text())
    return DiffusionPipeline.from_pretrained(checkpoint, **{name: None for name, entry in index.items() if entry == [None, None]})


@pytest.mark.parametrize("dtype", ["FLOAT32", "BFLOAT16"])
@pytest.mark.parametrize("value", ["CONV", "ENCODER"])
@pytest.mark.parametrize("kind", KINDS)
def test_three_iterations_change_what_plain_diffusers_draws(
    client: Client, checkpoints: dict[str, Path], tmp_path: Path, kind: str, value: str, dtype: str
) -> None:
    config = pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value), width=16)
    session = open_own(client, checkpoints[kind], value=config, model=pb.ModelConfig(dtype=pb.DType.Value(dtype)))
    assert (session.chain, session.eta) == (("flow-sde", 0.7) if kind in FLOWS else ("ddim", 1.0)) and len(session.times) == STEPS
    before = client.sample(["e1", "e2"], retain=False, measure_kl=True)
    assert client.kl == [0.0, 0.0]
    steps = train(client)
    assert all(np.isfinite(step.loss) and step.gradient_norm > 0 for step in steps)
    after = client.sample(["e1", "e2"], retain=False, measure_kl=True)
    assert (before != after).any() and all(kl > 0 for kl in client.kl)
    client.export(tmp_path)

    def drawn(with_lora: bool) -> np.ndarray:
        pipe = plain(checkpoints[kind])
        pipe.set_progress_bar_config(disable=True)
        if with_lora:
            pipe.load_lora_weights(tmp_path)
        return pipe(
            ["cat"],
            num_inference_steps=STEPS,
            guidance_scale=own(kind).guidance,
            generator=torch.Generator().manual_seed(1),
            output_type="np",
            height=32,
            width=32,
            **({"use_resolution_binning": False} if kind == "tiny-sana" else {}),
        ).images

    assert np.abs(drawn(True) - drawn(False)).max() > 1e-4


SAMPLERS = {
    "sde": pb.SamplerConfig(kind=pb.SamplerConfig.FLOW_SDE),
    "cps": pb.SamplerConfig(kind=pb.SamplerConfig.FLOW_CPS),
    "all noise anew": pb.SamplerConfig(kind=pb.SamplerConfig.FLOW_CPS, eta=1.0),
    "one step": pb.SamplerConfig(steps=1),
    "no guidance": pb.SamplerConfig(guidance=1.0),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_flow_chain_is_the_pipelines(client: Client, checkpoints: dict[str, Path], tmp_path: Path, sampler: str) -> None:
    """The canaries compare each with the pipeline's own call, to the bit, when it is opened and when it is exported."""
    open_own(client, checkpoints["tiny-sd3"], sampler=SAMPLERS[sampler])
    train(client)
    client.export(tmp_path)


def test_without_noise_a_flow_draws_what_the_saved_pipeline_draws(client: Client, checkpoints: dict[str, Path]) -> None:
    request = open_request(checkpoints["tiny-sd3"])
    request.sampler.CopyFrom(pb.SamplerConfig(kind=pb.SamplerConfig.FLOW_SDE, steps=STEPS, guidance=3.0, eta=0.0))
    client.call("Open", request)
    ours = client.sample(["a", "b"], retain=False)
    pipe = DiffusionPipeline.from_pretrained(checkpoints["tiny-sd3"])
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(sum(name.encode()) * 7919) for name in ("a", "b")]
    images = pipe(["cat", "dog"], num_inference_steps=STEPS, guidance_scale=3.0, generator=generators, output_type="np").images
    assert ((images * 255).round().astype("uint8") == ours).all()


@pytest.mark.parametrize(("height", "width"), [(96, 64), (32, 96)])
def test_images_of_another_size(client: Client, checkpoints: dict[str, Path], tmp_path: Path, height: int, width: int) -> None:
    session = open_own(client, checkpoints["tiny-sd3"], model=pb.ModelConfig(height=height, width=width))
    assert list(session.image_shape) == [height, width, 3] and list(session.latent_shape) == [4, height // 4, width // 4]
    train(client)
    assert client.sample(["e"], retain=False).shape == (1, height, width, 3)
    client.export(tmp_path)


@pytest.mark.parametrize(("field", "pixels"), [("height", 33), ("width", 4), ("height", 8 * 25)])
def test_sizes_that_the_network_cannot_draw(client: Client, checkpoints: dict[str, Path], field: str, pixels: int) -> None:
    with refused(pb.INVALID_ARGUMENT) as caught:
        open_own(client, checkpoints["tiny-sd3"], model=pb.ModelConfig(**{field: pixels}))
    assert caught.value.field == f"model.{field}" and "give " in caught.value.message


def test_pixels_have_their_own_size_alone(client: Client, tiny_ddpm: Path) -> None:
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.open(tiny_ddpm, sampler=PIXELS, model=pb.ModelConfig(width=24))
    assert caught.value.field == "model.width" and "give 16" in caught.value.message


def test_chains_of_another_process_are_refused_by_name(client: Client, checkpoints: dict[str, Path], tiny_sd: Path) -> None:
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.open(checkpoints["tiny-sd3"])
    assert caught.value.field == "sampler.kind"
    assert "ddim, but a StableDiffusion3Pipeline is trained by flow matching; give flow-sde or flow-cps" in caught.value.message
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.open(tiny_sd, sampler=pb.SamplerConfig(kind=pb.SamplerConfig.FLOW_SDE))
    assert "give ddim or ddpm" in caught.value.message


# ------------------------------------------------------------------------------------------------------ pixels


@pytest.fixture
def pixels_of(tmp_path: Path) -> Callable[[str], Path]:
    def make(kind: str) -> Path:
        testing.CHECKPOINTS[kind]().save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return make


PIXELS = pb.SamplerConfig(steps=STEPS, guidance=1.0)


def test_gray_images_are_fine_tuned(client: Client, pixels_of: Callable[[str], Path], tmp_path: Path) -> None:
    session = open_own(client, pixels_of("tiny-ddpm-gray"), sampler=PIXELS)
    assert list(session.latent_shape) == [1, 16, 16] and not session.conditional
    images = client.sample(IDS, prompts=("",))
    assert (images == images[..., :1]).all()
    client.fit({name: float(i) for i, name in enumerate(IDS)})
    client.improve(IDS)
    client.export(tmp_path / "export")


@pytest.mark.parametrize("value", ["CONV", "ENCODER"])
def test_a_class_is_a_prompt(client: Client, pixels_of: Callable[[str], Path], tmp_path: Path, value: str) -> None:
    config = pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value), width=16)
    session = open_own(client, pixels_of("tiny-ddpm-classes"), sampler=PIXELS, value=config)
    assert session.conditional
    one, other = (client.sample([name], retain=False, prompts=(prompt,)) for name, prompt in (("a", "0"), ("a", "3")))
    assert (one != other).any()
    client.sample(IDS, prompts=("0", "1", "3"))
    client.fit({name: float(i) for i, name in enumerate(IDS)})
    assert all(step.gradient_norm > 0 for step in client.improve(IDS).steps)
    client.export(tmp_path / "export")


@pytest.mark.parametrize("prompt", ["", "cat", "4", "-1", "1.0", "²"])
def test_what_is_no_class_is_refused(client: Client, pixels_of: Callable[[str], Path], prompt: str) -> None:
    open_own(client, pixels_of("tiny-ddpm-classes"), sampler=PIXELS)
    with refused(pb.INVALID_ARGUMENT) as caught:
        client.sample(["a"], prompts=(prompt,))
    assert "numbers from 0 to 3" in caught.value.message
