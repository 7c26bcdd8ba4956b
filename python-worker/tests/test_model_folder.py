"""Loading a model runs nobody's code: every way in that the libraries have is tried, with a pickle that would show."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import Client, in_config, in_index, refused
from vard.v1 import worker_pb2 as pb


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


@pytest.fixture
def exploded(tmp_path: Path) -> Path:
    return tmp_path / "exploded"


@pytest.fixture
def bomb(exploded: Path) -> bytes:
    return pickle.dumps(Bomb(exploded))


def test_the_bomb_works(bomb: bytes, exploded: Path) -> None:
    pickle.loads(bomb)
    assert exploded.exists()


PARTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
CODE = "from pathlib import Path\nPath({!r}).touch()\nclass Own: pass\n"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "pytorch_model.bin", "model.ckpt", "weights.pt", "weights.pth", "weights.pkl"])
def test_a_part_of_pickles_is_refused(client: Client, model: Path, bomb: bytes, exploded: Path, part: str, name: str) -> None:
    (model / part / f"{PARTS[part]}.safetensors").unlink()
    (model / part / name).write_bytes(bomb)
    with refused(pb.UNSAFE_CHECKPOINT) as caught:
        client.open(model)
    assert f"{part}/{name}" in caught.value.message
    assert not exploded.exists()


def test_pickles_beside_safetensors_stay_unread(client: Client, model: Path, bomb: bytes, exploded: Path) -> None:
    """Published models have both; a textual inversion or another pipeline's checkpoint may lie about too."""
    for part, name in PARTS.items():
        (model / part / f"{name}.bin").write_bytes(bomb)
    for name in ("learned_embeds.bin", "model.ckpt", "pytorch_lora_weights.bin", "pytorch_model.bin"):
        (model / name).write_bytes(bomb)
    (model / "safety_checker").mkdir()
    (model / "safety_checker/pytorch_model.bin").write_bytes(bomb)
    client.open(model)
    assert not exploded.exists()


def shards_of(part: str, shard: str) -> Callable[[Path], None]:
    """Makes a sharded part of it, whose list of shards names the file."""

    def change(model: Path) -> None:
        weights = model / part / f"{PARTS[part]}.safetensors"
        weights.rename(weights.with_name("other.safetensors"))
        index = {"metadata": {"total_size": 1}, "weight_map": {"weight": shard}}
        (model / part / f"{PARTS[part]}.safetensors.index.json").write_text(json.dumps(index))

    return change


UNSAFE: dict[str, Callable[[Path], None]] = {
    "a shard that is a pickle": shards_of("unet", "bomb.bin"),
    "a text encoder's shard that is a pickle": shards_of("text_encoder", "bomb.bin"),
    "a shard elsewhere": shards_of("unet", "../vae/diffusion_pytorch_model.safetensors"),
    "a pipeline of its own": in_index(_class_name=["own", "Own"]),
    "a part of its own": in_index(unet=["own", "Own"]),
    "a part from Python's library": in_index(unet=["subprocess", "Popen"]),
    "a scheduler of its own": in_index(scheduler=["own", "Own"]),
    "a class of its own": in_config("text_encoder/config.json", auto_map={"AutoModel": "own.Own"}),
    "a tokenizer of its own": in_config("tokenizer/tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]}),
    "a kernel of the hub": in_config("text_encoder/config.json", attn_implementation="somebody/kernel"),
    "a kernel of the hub, nested": in_config("text_encoder/config.json", text_config={"_attn_implementation": "somebody/kernel"}),
    "weights of another name": in_config("text_encoder/config.json", transformers_weights="adapter_model.bin"),
    "code under the library's name": lambda model: (model / "unet/diffusers.py").write_text((model / "own.py").read_text()),
    "an adapter of another model": lambda model: (model / "text_encoder/adapter_config.json").write_text('{"base_model_name_or_path": "somebody/model"}'),
}


@pytest.mark.parametrize("change", UNSAFE.values(), ids=UNSAFE.keys())
def test_code_and_weights_from_elsewhere_are_refused(client: Client, model: Path, bomb: bytes, exploded: Path, change: Callable[[Path], None]) -> None:
    for folder in (model, *(model / part for part in PARTS)):
        (folder / "bomb.bin").write_bytes(bomb)
    (model / "own.py").write_text(CODE.format(str(exploded)))
    change(model)
    with refused(pb.UNSAFE_CHECKPOINT) as caught:
        client.open(model)
    assert caught.value.field == "model.checkpoint"
    assert not exploded.exists()


NOT_LOADABLE: dict[str, Callable[[Path], None]] = {
    "no index": lambda model: (model / "model_index.json").unlink(),
    "an index that is no JSON": lambda model: (model / "model_index.json").write_text("{"),
    "an index that is a list": lambda model: (model / "model_index.json").write_text("[]"),
    "an index of bytes": lambda model: (model / "model_index.json").write_bytes(b"\xff\xfe"),
    "a deep index": lambda model: (model / "model_index.json").write_text("[" * 100_000),
    "a part of another class": in_index(unet=["diffusers", "UNet3DConditionModel"]),
    "a part missing in the index": in_index(vae=None),
    "a part's folder missing": lambda model: shutil.rmtree(model / "vae"),
    "quantised weights": in_config("unet/config.json", quantization_config={"quant_method": "bitsandbytes"}),
    "weights of no safetensors": lambda model: (model / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"\x80\x04."),
    "half the weights": lambda model: (model / "vae/diffusion_pytorch_model.safetensors").write_bytes((model / "vae/diffusion_pytorch_model.safetensors").read_bytes()[:5000]),
}  # fmt: skip


@pytest.mark.parametrize("change", NOT_LOADABLE.values(), ids=NOT_LOADABLE.keys())
def test_what_is_no_model_is_refused(client: Client, model: Path, change: Callable[[Path], None]) -> None:
    change(model)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert str(model) in caught.value.message


def test_sharded_safetensors_are_loaded(client: Client, model: Path) -> None:
    whole = client.open(model)
    torch.manual_seed(0)
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    shutil.rmtree(model / "unet")
    unet.save_pretrained(model / "unet", max_shard_size="200KB")
    assert len(list((model / "unet").glob("*.safetensors"))) > 1
    sharded = Client(client.handler, "sharded").open(model)
    assert sharded.model_parameters == whole.model_parameters
