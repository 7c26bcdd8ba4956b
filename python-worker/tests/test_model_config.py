"""What a checkpoint's configurations say is looked at before its weights are: by the file, the key and the cure."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import torch
from diffusers import UNet2DConditionModel

from conftest import Client, in_config, open_request, refused
from vard.v1 import worker_pb2 as pb
from vard.v1 import worker_pb2_grpc
from vard_worker.server import Settings, start

Change = Callable[[Path], None]


def unet(**changes: object) -> Change:
    return in_config("unet/config.json", **changes)


def vae(**changes: object) -> Change:
    return in_config("vae/config.json", **changes)


def text(**changes: object) -> Change:
    return in_config("text_encoder/config.json", **changes)


def tokenizer(**changes: object) -> Change:
    return in_config("tokenizer/tokenizer_config.json", **changes)


REFUSED: list[tuple[Change, str]] = [
    (unet(class_embed_type="timestep"), "unet/config.json: class_embed_type: 'timestep'; a class that is not a number"),
    (unet(num_class_embeds=10), "unet/config.json: num_class_embeds: 10; it is conditioned on classes"),
    (unet(time_cond_proj_dim=256), "unet/config.json: time_cond_proj_dim: 256; it is a distilled model"),
    (unet(addition_embed_type="text_time"), "unet/config.json: addition_embed_type: 'text_time'; its UNet takes more than a prompt"),
    (unet(encoder_hid_dim=64, encoder_hid_dim_type="image_proj"), "unet/config.json: encoder_hid_dim_type: 'image_proj'; its UNet takes images"),
    (unet(encoder_hid_dim=64), "unet/config.json: encoder_hid_dim: 64; but its text encoder's hidden_size is 32"),
    (unet(cross_attention_dim=768), "unet/config.json: cross_attention_dim: 768; but its text encoder's hidden_size is 32"),
    (unet(sample_size=None), "unet/config.json: sample_size: None; give the side"),
    (unet(sample_size=-8), "unet/config.json: sample_size: -8; give whole numbers from 1"),
    (unet(sample_size=[8, 8, 8]), "unet/config.json: sample_size: [8, 8, 8]; give the side"),
    (unet(sample_size=100_000), "unet/config.json: sample_size: 100000; give whole numbers from 1 to 2048"),
    (unet(sample_size=8.0), "unet/config.json: sample_size: 8.0; give the side"),
    (unet(out_channels=8), "unet/config.json: out_channels: 8; but in_channels: 4; learned variances are not supported"),
    (unet(in_channels=9, out_channels=9), "unet/config.json: in_channels: 9; but its VAE has 4 latent_channels: an inpainting"),
    (unet(layers_per_block=10**9), "unet/config.json: layers_per_block: 1000000000; give whole numbers from 1 to 256"),
    (unet(block_out_channels=[16, -32]), "unet/config.json: block_out_channels: [16, -32]; give whole numbers"),
    (unet(block_out_channels=["16", "32"]), "unet/config.json: block_out_channels"),
    (unet(transformer_layers_per_block=[[1, 10**8]]), "unet/config.json: transformer_layers_per_block"),
    (unet(norm_eps=float("nan")), "unet/config.json: norm_eps: nan; give a number that is finite"),
    (unet(mid_block_scale_factor=1e308), "unet/config.json: mid_block_scale_factor: 1e+308; give a number that is finite"),
    (vae(scaling_factor=float("inf")), "vae/config.json: scaling_factor: inf; give a number that is finite"),
    (vae(scaling_factor=0), "vae/config.json: scaling_factor: 0; give the number that its latents were multiplied by"),
    (vae(scaling_factor=None), "vae/config.json: scaling_factor: None; give the number"),
    (vae(out_channels=1), "vae/config.json: out_channels: 1; only VAEs that draw RGB"),
    (vae(latent_channels=10**7), "vae/config.json: latent_channels: 10000000; give whole numbers"),
    (text(num_hidden_layers=10**9), "text_encoder/config.json: num_hidden_layers: 1000000000; give whole numbers"),
    (text(hidden_size=33), "text_encoder/config.json: "),
    (text(layer_norm_eps=float("-inf")), "text_encoder/config.json: layer_norm_eps: -inf; give a number that is finite"),
    (tokenizer(model_max_length=...), "tokenizer/tokenizer_config.json: model_max_length: missing; give the tokens that its text encoder reads, at most 16"),
    (tokenizer(model_max_length=10**30), "tokenizer/tokenizer_config.json: model_max_length: 1e+30; give the tokens"),
    (tokenizer(model_max_length=77), "tokenizer/tokenizer_config.json: model_max_length: 77; give the tokens"),
    (tokenizer(model_max_length=-1), "tokenizer/tokenizer_config.json: model_max_length: -1; give the tokens"),
    (lambda model: (model / "tokenizer/tokenizer_config.json").unlink(), "tokenizer/tokenizer_config.json: model_max_length: missing"),
    (lambda model: (model / "vae/config.json").unlink(), "vae/config.json is missing; download the model again"),
]


def without_weights(model: Path) -> None:
    """Leaves no weight that could be read: what is refused by its configuration must not have come so far."""
    for file in model.rglob("*.safetensors"):
        file.write_bytes(b"none")


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=[told[:70] for _, told in REFUSED])
def test_a_configuration_is_refused_before_weights_are_read(client: Client, model: Path, change: Change, told: str) -> None:
    change(model)
    without_weights(model)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert caught.value.field == "model.checkpoint"
    assert caught.value.message.startswith(f"model.checkpoint: {model}: {told}")
    assert "\n" not in caught.value.message


UNCONDITIONAL: list[tuple[Change, str]] = [
    (unet(num_class_embeds=0), "unet/config.json: num_class_embeds: 0; give whole numbers from 1"),
    (unet(out_channels=6), "unet/config.json: out_channels: 6; but in_channels: 3; learned variances are not supported"),
    (unet(in_channels=4, out_channels=4), "unet/config.json: in_channels: 4; 1 or 3 are supported"),
    (unet(sample_size=None), "unet/config.json: sample_size: None; give the side"),
]


@pytest.mark.parametrize(("change", "told"), UNCONDITIONAL, ids=[told[:70] for _, told in UNCONDITIONAL])
def test_an_unconditional_models_configuration_is_refused_before_weights_are_read(client: Client, pixels: Path, change: Change, told: str) -> None:
    change(pixels)
    without_weights(pixels)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(pixels, sampler=pb.SamplerConfig(guidance=1.0))
    assert told in caught.value.message


READ: dict[str, Change] = {
    "a side for each direction": unet(sample_size=[8, 8]),
    "an offset and a bound that are null": in_config("scheduler/scheduler_config.json", steps_offset=None, clip_sample_range=None),
    "a large file that nothing reads": lambda model: (model / "unet/trainer_state.json").write_text("[" + "0," * 2**20 + "0]"),
    "other files and folders": lambda model: (model / "unet/.cache").mkdir() or (model / "vae/onnx").mkdir() or (model / "vae/README").touch(),
}


@pytest.mark.parametrize("change", READ.values(), ids=READ.keys())
def test_what_matters_to_nobody_is_read(client: Client, model: Path, change: Change) -> None:
    change(model)
    client.open(model)


def test_a_prompt_that_the_unet_projects_is_read(client: Client, model: Path) -> None:
    """Its cross-attention is wider than the text encoder: the value networks must take the text encoder's width."""
    shutil.rmtree(model / "unet")
    torch.manual_seed(0)
    tiny = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, attention_head_dim=2, cross_attention_dim=48,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        encoder_hid_dim=32, encoder_hid_dim_type="text_proj",
    )  # fmt: skip
    tiny.save_pretrained(model / "unet")
    for session, kind in (("s", pb.ValueConfig.CONV), ("encoder", pb.ValueConfig.ENCODER)):
        learner = Client(client.handler, session)
        learner.open(model, value=pb.ValueConfig(kind=kind))
        learner.sample(["a", "b"])
        assert len(learner.fit({"a": 0.0, "b": 1.0}).losses) == 3
        assert learner.improve(["a", "b"]).steps[0].gradient_norm > 0


# ------------------------------------------------------------------------------------------------ files


def pipe(file: str) -> Change:
    def change(model: Path) -> None:
        (model / file).unlink(missing_ok=True)
        os.mkfifo(model / file)

    return change


def linked(file: str, target: str) -> Change:
    def change(model: Path) -> None:
        (model / file).unlink(missing_ok=True)
        (model / file).symlink_to(target)

    return change


def folder(file: str) -> Change:
    def change(model: Path) -> None:
        (model / file).unlink(missing_ok=True)
        (model / file).mkdir()

    return change


def sparse(file: str, size: int) -> Change:
    """Gigabytes that take no room on the disk."""

    def change(model: Path) -> None:
        with (model / file).open("ab") as stream:
            stream.truncate(size)

    return change


def listening(file: str) -> Change:
    def change(model: Path) -> None:
        where = os.getcwd()
        os.chdir(model)  # a socket's path is short
        try:
            socket.socket(socket.AF_UNIX).bind(file)
        finally:
            os.chdir(where)

    return change


UNREADABLE: list[tuple[Change, str]] = [
    (pipe("unet/config.json"), "unet/config.json is a pipe"),
    (pipe("unet/diffusion_pytorch_model.safetensors"), "unet/diffusion_pytorch_model.safetensors is a pipe"),
    (pipe("text_encoder/model.safetensors"), "text_encoder/model.safetensors is a pipe"),
    (pipe("tokenizer/merges.txt"), "tokenizer/merges.txt is a pipe"),
    (pipe("model_index.json"), "no model_index.json in the folder"),
    (listening("unet/x"), "unet/x is a socket"),
    (linked("unet/config.json", "/dev/zero"), "unet/config.json is a device"),
    (linked("model_index.json", "/dev/zero"), "no model_index.json in the folder"),
    (linked("vae/config.json", "nowhere"), "vae/config.json is not readable"),
    (folder("scheduler/scheduler_config.json"), "scheduler/scheduler_config.json is a folder"),
    (folder("unet/diffusion_pytorch_model.safetensors"), "unet/diffusion_pytorch_model.safetensors is a folder"),
    (sparse("model_index.json", 8 << 30), "model_index.json has"),
    (sparse("unet/config.json", 8 << 30), "unet/config.json has"),
    (sparse("unet/diffusion_pytorch_model.safetensors.index.json", 8 << 30), "unet/diffusion_pytorch_model.safetensors.index.json has"),
    (sparse("tokenizer/tokenizer.json", 8 << 30), "tokenizer/tokenizer.json has"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("change", "told"), UNREADABLE, ids=[told for _, told in UNREADABLE])
def test_what_is_no_file_or_has_no_end_is_refused_at_once(client: Client, model: Path, change: Change, told: str) -> None:
    change(model)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(model)
    assert told in caught.value.message


@pytest.mark.timeout(60)
@pytest.mark.parametrize("checkpoint", ["/dev/zero", "fifo"])
def test_a_model_that_is_no_folder_is_refused_at_once(client: Client, tmp_path: Path, checkpoint: str) -> None:
    if checkpoint == "fifo":
        os.mkfifo(tmp_path / "fifo")
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(tmp_path / checkpoint)
    assert "it is no folder" in caught.value.message


def test_what_macos_leaves_beside_files_is_not_looked_at(client: Client, model: Path) -> None:
    for file in [file for file in model.rglob("*") if file.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    (model / "unet/._config.py").write_bytes(b"\x00\x05\x16\x07")
    client.open(model)


def test_what_macos_leaves_is_not_taken_for_weights(client: Client, model: Path) -> None:
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("._diffusion_pytorch_model.safetensors"))
    weights.with_name("diffusion_pytorch_model.bin").write_bytes(b"")
    with refused(pb.UNSAFE_CHECKPOINT):
        client.open(model)


# ------------------------------------------------------------------------------------------------ through a real worker


@pytest.fixture
def worker() -> Iterator[worker_pb2_grpc.WorkerServiceStub]:
    front = start(Settings())
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        yield worker_pb2_grpc.WorkerServiceStub(channel)
    front.stop()


@pytest.mark.parametrize("change", [unet(num_class_embeds=10), pipe("unet/config.json")], ids=["classes", "pipe"])
def test_a_worker_refuses_and_goes_on(worker: worker_pb2_grpc.WorkerServiceStub, model: Path, tiny_sd: Path, change: Change) -> None:
    change(model)
    with pytest.raises(grpc.RpcError) as caught:
        worker.Open(open_request(model), timeout=60)
    assert "unet/config.json" in caught.value.details()
    error = pb.WorkerError.FromString(dict(caught.value.trailing_metadata())["vard-error-bin"])
    assert error.code == pb.MODEL_NOT_LOADABLE
    assert worker.Open(open_request(tiny_sd), timeout=60).session.conditional
