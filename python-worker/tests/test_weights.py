"""Which files a part's weights are read from: plain, of 16 bits, sharded; and what is said of a checkpoint of one file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextModel

from conftest import Client, refused
from vard.v1 import worker_pb2 as pb
from vard_worker import testing
from vard_worker.roots import Roots

NETWORKS = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.fixture(scope="session")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in 16 bits, under plain names."""
    folder = tmp_path_factory.mktemp("checkpoints") / "half"
    testing.tiny_sd().to(torch.float16).save_pretrained(folder)
    return folder


def variant_of(model: Path, part: str, name: str = "fp16", dtype: torch.dtype = torch.float16, shard: str = "10GB") -> None:
    """Adds a variant of a part's weights, as the libraries save it."""
    NETWORKS[part].from_pretrained(model / part).to(dtype).save_pretrained(model / part, variant=name, max_shard_size=shard)


def plain(model: Path, part: str) -> Path:
    return model / part / f"{STEMS[part]}.safetensors"


def only_fp16(model: Path, parts: tuple[str, ...] = tuple(NETWORKS), **more: str) -> None:
    for part in parts:
        variant_of(model, part, **more)
        plain(model, part).unlink()


def drawn(client: Client, checkpoint: Path, session: str, dtype: int = pb.FLOAT32) -> np.ndarray:
    one = Client(client.handler, session)
    one.open(checkpoint, model=pb.ModelConfig(dtype=dtype))
    pipeline = client.handler.sessions[session].model.family.pipeline
    of = {
        parameter.dtype
        for part in pipeline.components.values()
        if isinstance(part, nn.Module)
        for name, parameter in part.named_parameters()
        if "lora_" not in name
    }
    assert of == {torch.float32 if dtype == pb.FLOAT32 else torch.bfloat16}
    return one.sample(["a", "b"])


def beside_pickles(model: Path) -> None:
    only_fp16(model)
    for part, stem in STEMS.items():
        (model / part / f"{stem.replace('model', 'pytorch_model') if stem == 'model' else stem}.bin").write_bytes(b"a pickle that nobody reads")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "fp16 alone": only_fp16,
    "fp16 beside pickles": beside_pickles,
    "fp16 in shards": lambda model: only_fp16(model, shard="100KB"),
    "another variant": lambda model: [variant_of(model, part, "ema") or plain(model, part).unlink() for part in NETWORKS],
}


@pytest.mark.parametrize("dtype", [pb.FLOAT32, pb.BFLOAT16])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_variant_draws_what_the_same_weights_under_plain_names_draw(
    client: Client, model: Path, half: Path, layout: Callable[[Path], None], dtype: int
) -> None:
    layout(model)
    assert (drawn(client, model, "variant", dtype) == drawn(client, half, "half", dtype)).all()


def test_shards_are_shards(model: Path) -> None:
    only_fp16(model, shard="100KB")
    assert len(list((model / "unet").glob("diffusion_pytorch_model.fp16-*-of-*.safetensors"))) > 1
    assert (model / "unet/diffusion_pytorch_model.safetensors.index.fp16.json").is_file()


def test_each_part_has_the_most_precise_of_its_files(client: Client, tiny_sd: Path, model: Path) -> None:
    """The plain weights where they are; a variant for the part that has nothing else."""
    whole = drawn(client, tiny_sd, "whole")
    for part in NETWORKS:
        variant_of(model, part)
    assert (drawn(client, model, "both") == whole).all()
    variant_of(model, "vae", "fp32", torch.float32)
    plain(model, "vae").unlink()
    assert (drawn(client, model, "mixed") == whole).all()
    (model / "vae/diffusion_pytorch_model.fp32.safetensors").unlink()
    vae = drawn(client, model, "fp16")
    assert (vae != whole).any() and np.abs(vae.astype(int) - whole).max() <= 2


def test_a_variant_is_trained_and_exported(client: Client, model: Path, tmp_path: Path) -> None:
    only_fp16(model)
    client.open(model)
    client.sample(["a", "b"])
    client.fit({"a": 0.0, "b": 1.0})
    assert client.improve(["a", "b"]).steps[0].gradient_norm > 0
    assert Path(client.export(tmp_path / "export").file).is_file()


def test_several_variants_of_unknown_names_are_not_guessed_between(client: Client, model: Path) -> None:
    for name in ("ema", "non_ema"):
        variant_of(model, "unet", name)
    plain(model, "unet").unlink()
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert (
        "unet has the variants ema, non_ema" in caught.value.message and "rename the one to load to diffusion_pytorch_model.safetensors" in caught.value.message
    )


@pytest.mark.parametrize("part", NETWORKS)
def test_missing_weights_are_named(client: Client, model: Path, part: str) -> None:
    plain(model, part).unlink()
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert f"{part}/{STEMS[part]}.safetensors is missing" in caught.value.message


# ------------------------------------------------------------------------------------------------ one file


@pytest.mark.parametrize("name", ["v1-5-pruned.safetensors", "v1-5-pruned.ckpt"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_a_checkpoint_of_one_file_is_told_how_to_become_a_folder(client: Client, model: Path, tmp_path: Path, name: str, as_folder: bool) -> None:
    (tmp_path / "other").mkdir()
    file = tmp_path / "other" / name
    save_file(load_file(plain(model, "unet")), file)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(file.parent if as_folder else file)
    message = caught.value.message
    converted = tmp_path / "other/v1-5-pruned"
    assert f"P.from_single_file('{file}').save_pretrained('{converted}')" in message
    assert f"give model.checkpoint: {converted}" in message and "\n" not in message
    assert ("unpickling runs code" in message) == name.endswith(".ckpt")


def test_a_checkpoint_of_one_file_under_a_root_is_told_the_same(model: Path, tmp_path: Path) -> None:
    from vard_worker.handler import WorkerHandler

    file = Path(shutil.copy(plain(model, "unet"), tmp_path / "one.safetensors"))
    confined = Client(WorkerHandler(threads=1, roots=Roots.of([], [tmp_path], allow_hub=False)))
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        confined.open(file)
    assert "from_single_file" in caught.value.message


def test_an_adapter_is_not_taken_for_a_model(client: Client, opened_export: Path) -> None:
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        Client(client.handler, "other").open(opened_export)
    assert "pytorch_lora_weights.safetensors is an adapter, not a model" in caught.value.message


@pytest.fixture
def opened_export(opened: Client, tmp_path: Path) -> Path:
    opened.export(tmp_path / "export")
    return tmp_path / "export"


@pytest.mark.parametrize("part", NETWORKS)
def test_a_weight_that_is_missing_is_not_made_up(client: Client, tiny_sd: Path, tmp_path: Path, part: str) -> None:
    """The libraries fill a text encoder's with random numbers and a warning."""
    model = Path(shutil.copytree(tiny_sd, tmp_path / "model"))
    weights = load_file(plain(model, part))
    lost = sorted(name for name in weights if name.endswith("bias"))[0]
    del weights[lost]
    save_file(weights, plain(model, part), metadata={"format": "pt"})
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert f"{part}: its weights lack 1 that its config.json asks for" in caught.value.message
