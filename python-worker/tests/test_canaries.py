"""Each canary sings when its fault is planted, and leaves nothing behind when all is well."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel, UNet2DModel
from peft import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from conftest import VARD, Client, open_request, ratios, refused
from vard.v1 import worker_pb2 as pb
from vard_worker import canaries
from vard_worker.chains.ddim import Ddim
from vard_worker.errors import WorkerError
from vard_worker.families import Condition
from vard_worker.families.ddpm import Unconditional
from vard_worker.families.sd import StableDiffusion
from vard_worker.model import Model
from vard_worker.policies import ADAPTER, Policies
from vard_worker.sampling import denoise

IDS = ["a", "b", "c", "d"]
TARGETS = {"a": 1.0, "b": -1.0, "c": 0.2, "d": 0.0}
DDPM = pb.SamplerConfig(kind=pb.SamplerConfig.DDPM, guidance=1.0)
DDIM = pb.SamplerConfig(kind=pb.SamplerConfig.DDIM, guidance=1.0)
KINDS = {
    "ddim": {},
    "ddim, no noise": {"sampler": pb.SamplerConfig(eta=0.0)},
    "ddpm": {"sampler": pb.SamplerConfig(kind=pb.SamplerConfig.DDPM)},
    "no guidance": {"sampler": DDIM},
    "one step": {"sampler": pb.SamplerConfig(steps=1)},
    "encoder": {"value": pb.ValueConfig(kind=pb.ValueConfig.ENCODER, width=32)},
    "bfloat16": {"model": pb.ModelConfig(dtype=pb.BFLOAT16)},
    "bfloat16, ddpm": {"model": pb.ModelConfig(dtype=pb.BFLOAT16), "sampler": pb.SamplerConfig(kind=pb.SamplerConfig.DDPM)},
    "pixels, ddpm": {"sampler": DDPM},
    "pixels, ddim": {"sampler": DDIM},
    "pixels, bfloat16": {"sampler": DDPM, "model": pb.ModelConfig(dtype=pb.BFLOAT16)},
}


@pytest.fixture(params=KINDS)
def any_session(request: pytest.FixtureRequest, client: Client, tiny_sd: Path, tiny_ddpm: Path) -> Client:
    changes = KINDS[request.param]
    opening = open_request(tiny_ddpm if request.param.startswith("pixels") else tiny_sd)
    for name, change in changes.items():
        getattr(opening, name).MergeFrom(change)
    if request.param == "ddim, no noise":
        opening.sampler.eta = 0.0
    client.call("Open", opening)
    return client


def train(client: Client) -> None:
    conditional = client.handler.sessions["s"].model.family.prompted
    client.sample(IDS, prompts=("cat", "dog") if conditional else ("",))
    client.fit(TARGETS, steps=10)
    client.improve(IDS, steps=3, kl_weight=0.0)


# ------------------------------------------------------------------------------------------------------ all is well


def test_a_sound_session_is_opened_improved_and_exported(any_session: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every sampler, family and dtype, to the bit: no canary sings for nothing."""
    with caplog.at_level(logging.INFO, logger="vard_worker"):
        train(any_session)
        any_session.export(tmp_path)
    told = [record.getMessage() for record in caplog.records if record.name == "vard_worker.canaries"]
    assert [message.split(":")[1].strip() for message in told] == ["the first improvement moves the sampler", "the exported file draws the same"]


@contextmanager
def untried() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canaries, "try_out", lambda session, cancelled: None)
        patch.setattr(canaries, "check_first_improvement", lambda session, first: None)
        yield


@pytest.mark.parametrize("value", ["CONV", "ENCODER", None])
def test_the_trial_leaves_nothing_behind(client: Client, tiny_sd: Path, tmp_path: Path, value: str | None) -> None:
    def opened(session_id: str) -> Client:
        request = open_request(tiny_sd, session_id)
        request.ClearField("value") if value is None else request.value.MergeFrom(pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value)))
        trainee = Client(client.handler, session_id)
        trainee.call("Open", request)
        return trainee

    def end(trainee: Client) -> str:
        trainee.sample(IDS)
        if value is None:
            trainee.improve(IDS, named=ratios([1, 0, -1, 0], clip=0.1))
        else:
            trainee.fit(TARGETS)
            trainee.improve(IDS)
        return trainee.export(tmp_path / trainee.session_id).sha256

    with untried():
        plain = opened("plain")
    random = torch.get_rng_state()
    tried = opened("tried")
    assert torch.equal(torch.get_rng_state(), random)

    session, other = (client.handler.sessions[name] for name in ("tried", "plain"))
    assert not session.trajectories and session.operation == 0 and not session.last.response
    assert not session.policy_optimizer.state_dict()["state"]
    assert all(parameter.grad is None for parameter in session.model.net.parameters())
    for name, tensor in other.model.net.state_dict().items():
        assert torch.equal(session.model.net.state_dict()[name], tensor)
    assert {n: p.requires_grad for n, p in session.model.net.named_parameters()} == {n: p.requires_grad for n, p in other.model.net.named_parameters()}
    if value is not None:
        assert not session.value_optimizer.state_dict()["state"]
        assert all(parameter.grad is None and parameter.requires_grad for parameter in session.value.parameters())
        assert all(torch.equal(session.value.state_dict()[name], tensor) for name, tensor in other.value.state_dict().items())
    with untried():
        sha256 = end(plain)
    assert end(tried) == sha256


def test_restoring_does_not_try_out_again(opened: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(opened)
    opened.call("Save", pb.SaveRequest(session_id="s", path=str(tmp_path / "c")))
    monkeypatch.setattr(canaries, "try_out", None)
    opened.call("Restore", pb.RestoreRequest(session_id="r", path=str(tmp_path / "c")))


# ------------------------------------------------------------------------------------------------------ at opening


def plant_in_adapter(monkeypatch: pytest.MonkeyPatch, change: Callable[[Policies], None]) -> None:
    plain = Policies.add_adapter

    def add(self: Policies, *arguments: object) -> None:
        plain(self, *arguments)
        change(self)

    monkeypatch.setattr(Policies, "add_adapter", add)


DETACHED = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
ODD = {
    "its output is detached": lambda layer: layer.lora_B[ADAPTER].register_forward_hook(lambda module, arguments, output: output.detach()),
    "it is switched off": lambda layer: layer.enable_adapters(False),
    "its input is zero": lambda layer: layer.lora_A[ADAPTER].register_forward_hook(lambda module, arguments, output: output * 0),
}


@pytest.mark.parametrize("value", ["CONV", "ENCODER", None])
@pytest.mark.parametrize("how", ODD)
def test_a_target_that_no_gradient_reaches_is_named(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch, how: str, value: str | None) -> None:
    plant_in_adapter(monkeypatch, lambda policies: ODD[how](policies.net.get_submodule(DETACHED)))
    request = open_request(tiny_sd)
    request.ClearField("value") if value is None else request.value.MergeFrom(pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value)))
    if how == "it is switched off":
        monkeypatch.setattr(Model, "reference", reference_but(DETACHED))
    with refused(pb.INCONSISTENT) as caught:
        client.call("Open", request)
    assert DETACHED in caught.value.message and "1 of the " in caught.value.message
    assert caught.value.field == "model.adapter.targets"
    assert not client.handler.sessions


def reference_but(name: str) -> Callable[[Model], object]:
    plain = Model.reference

    @contextmanager
    def reference(self: Model) -> Iterator[None]:
        with plain(self):
            yield
        self.net.get_submodule(name).enable_adapters(False)

    return reference


def test_an_adapter_that_does_not_start_as_no_change_is_refused(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(policies: Policies) -> None:
        with torch.no_grad():
            policies.net.get_submodule(DETACHED).lora_B[ADAPTER].weight.fill_(0.1)

    plant_in_adapter(monkeypatch, change)
    with refused(pb.INCONSISTENT) as caught:
        client.open(tiny_sd)
    assert "before any training" in caught.value.message
    # A chain without noise has no KL: there, the pictures show it.
    request = open_request(tiny_sd)
    request.sampler.eta = 0.0
    with refused(pb.INCONSISTENT) as caught:
        client.call("Open", request)
    assert "untrained adapter changes" in caught.value.message


def lose_the_prompt(self: StableDiffusion, prompts: list[str]) -> Condition:
    encoded, empty = self.pipeline.encode_prompt([""] * len(prompts), self.device, 1, True)
    return {"prompts": encoded, "empty": empty}


def forget_the_guidance(self: StableDiffusion, x: torch.Tensor, t: torch.Tensor, condition: Condition | None) -> torch.Tensor:
    return self.net(x, t, encoder_hidden_states=condition["prompts"], return_dict=False)[0]


def decode_unscaled(self: StableDiffusion, x: torch.Tensor) -> object:
    return plain_decode(self, x * self.pipeline.vae.config.scaling_factor)


plain_decode = StableDiffusion.decode
OTHER = {
    "other prompts": (StableDiffusion, "encode", lose_the_prompt, "latents differ"),
    "no guidance": (StableDiffusion, "predict", forget_the_guidance, "latents differ"),
    "another decoding": (StableDiffusion, "decode", decode_unscaled, "decoded images are not"),
}


@pytest.mark.parametrize("what", OTHER)
def test_a_chain_that_is_not_the_pipelines_is_refused(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    owner, name, plant, why = OTHER[what]
    monkeypatch.setattr(owner, name, plant)
    with refused(pb.INCONSISTENT) as caught:
        client.open(tiny_sd)
    assert "StableDiffusionPipeline and vard draw other pictures" in caught.value.message
    assert why in caught.value.message
    assert caught.value.field == "model.checkpoint"


def test_an_unconditional_chain_that_is_not_the_pipelines_is_refused(client: Client, tiny_ddpm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Unconditional.predict
    monkeypatch.setattr(Unconditional, "predict", lambda self, x, t, condition: plain(self, x, t + 1, condition))
    with refused(pb.INCONSISTENT) as caught:
        client.open(tiny_ddpm, sampler=DDPM)
    assert "DDPMPipeline and vard draw other pictures" in caught.value.message


@pytest.mark.parametrize("name", ["sigma", "x0", "eps"])
def test_a_closed_form_that_is_not_the_samplers_step_is_refused(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain = Ddim.__init__

    def wrong(self: Ddim, *arguments: object) -> None:
        plain(self, *arguments)
        setattr(self, name, getattr(self, name) * 1.05)

    monkeypatch.setattr(Ddim, "__init__", wrong)
    with refused(pb.INCONSISTENT) as caught:
        client.open(tiny_sd)
    assert "closed form" in caught.value.message


def leave_the_adapter_off(monkeypatch: pytest.MonkeyPatch) -> None:

    def without(model: Model, *arguments: object) -> object:
        with model.reference():
            return denoise(model, *arguments)

    monkeypatch.setattr("vard_worker.session.denoise", without)


def test_sampling_without_the_adapter_is_refused_at_once(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_the_adapter_off(monkeypatch)
    with refused(pb.INCONSISTENT) as caught:
        client.open(tiny_sd)
    assert "what is trained is not what is sampled" in caught.value.message


# ------------------------------------------------------------------------------------------------------ models that do not work


def changed_unet(model: Path, to: Path, **changes: object) -> Path:
    """The checkpoint with another denoising network in it, as its author would have saved it."""
    shutil.copytree(model, to)
    config = json.loads((to / "unet/config.json").read_text()) | changes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind = UNet2DModel if config["_class_name"] == "UNet2DModel" else UNet2DConditionModel
        unet = kind.from_config(config)
    shutil.rmtree(to / "unet")
    unet.save_pretrained(to / "unet")
    return to


def test_an_encoder_value_that_the_network_has_no_features_for(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes every check of configurations, and the first evaluation, which would be paid for."""
    monkeypatch.setattr("vard_worker.families.unet.reached", lambda *_: None)
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        client.open(tiny_sd, value=pb.ValueConfig(kind=pb.ValueConfig.ENCODER))
    assert caught.value.field == "algorithm.value.kind"
    assert "conv" in caught.value.message
    client.open(tiny_sd)


def test_an_encoder_value_on_a_network_without_a_middle_block(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    client.open(changed_unet(tiny_sd, tmp_path / "model", mid_block_type=None), value=pb.ValueConfig(kind=pb.ValueConfig.ENCODER))
    train(client)


ODD_NETWORKS = {
    "encoder_hid_dim": {"encoder_hid_dim": 48, "encoder_hid_dim_type": "text_proj"},
    "class embeddings": {"num_class_embeds": 4},
    "added embeddings": {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 80},
    "a guidance embedding": {"time_cond_proj_dim": 16},
    "learned variances": {"out_channels": 8},
}


@pytest.mark.parametrize("what", ODD_NETWORKS)
def test_a_network_that_asks_for_more_is_refused_before_anything_is_paid(client: Client, tiny_sd: Path, tmp_path: Path, what: str) -> None:
    model = changed_unet(tiny_sd, tmp_path / "model", **ODD_NETWORKS[what])
    with pytest.raises(WorkerError) as caught:
        client.open(model)
    assert caught.value.code in (pb.MODEL_NOT_LOADABLE, pb.INCONSISTENT), caught.value.message
    assert caught.value.field == "model.checkpoint"
    assert not client.handler.sessions


def test_no_memory_for_the_trial_is_out_of_memory(client: Client, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "predict", lambda *_: torch.empty(1 << 50))
    with refused(pb.OUT_OF_MEMORY):
        client.open(tiny_sd)


# ------------------------------------------------------------------------------------------------------ the first improvement


def test_a_first_improvement_that_sampling_does_not_follow_is_undone(opened: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened.sample(IDS)
    opened.fit(TARGETS, steps=10)
    leave_the_adapter_off(monkeypatch)
    with refused(pb.INCONSISTENT) as caught:
        opened.improve(IDS)
    assert "what is trained is not what is sampled" in caught.value.message
    session = opened.handler.sessions["s"]
    assert session.model.policies.at_start() and session.operation == 2


def test_a_first_step_that_sees_a_kl_is_refused(opened: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.sample(IDS)
    opened.fit(TARGETS, steps=10)
    monkeypatch.setattr("vard_worker.objectives.batch.kl", lambda mean, reference, sigma_B: (mean - mean.roll(1)).flatten(1).square().sum(1))
    with refused(pb.INCONSISTENT) as caught:
        opened.improve(IDS)
    assert "before any training" in caught.value.message


def test_an_improvement_too_small_to_be_seen_is_no_fault(opened: Client, caplog: pytest.LogCaptureFixture) -> None:
    opened.sample(IDS)
    opened.fit(TARGETS, steps=10)
    request = pb.ImprovePolicyRequest(trajectory_ids=IDS, steps=1, batch=4, learning_rate=1e-25, seed=2, named=VARD)
    opened.change("ImprovePolicy", request)
    assert "raise algorithm.policy.learning-rate" in caplog.text


# ------------------------------------------------------------------------------------------------------ export


def alpha_lost(self: Model, folder: Path) -> Path:
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(self.net))
    return folder / "pytorch_lora_weights.safetensors"


plain_export = Model.export


def rewritten(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Model, Path], Path]:
    def export(self: Model, folder: Path) -> Path:
        from safetensors import safe_open

        file = plain_export(self, folder)
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata()
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file, metadata=metadata)
        return file

    return export


def exchange(tensors: dict[str, torch.Tensor]) -> None:
    """Two modules of one shape."""
    names = [name for name in tensors if name.endswith("lora_B.weight")]
    one = next(name for name in names if any(other != name and tensors[other].shape == tensors[name].shape for other in names))
    other = next(name for name in names if name != one and tensors[name].shape == tensors[one].shape)
    tensors[one], tensors[other] = tensors[other].clone(), tensors[one].clone()


BAD_EXPORTS = {
    "alpha lost": (alpha_lost, "metadata says"),
    "another module's weights": (rewritten(exchange), "2 of its "),
    "a module missing": (rewritten(lambda tensors: [tensors.pop(name) for name in sorted(tensors)[:2]]), "names differ"),
    "no weights": (rewritten(lambda tensors: [tensor.zero_() for name, tensor in tensors.items() if "lora_B" in name]), "of its "),
}


@pytest.mark.parametrize("dtype", ["FLOAT32", "BFLOAT16"])
@pytest.mark.parametrize("family", ["sd", "ddpm"])
@pytest.mark.parametrize("what", BAD_EXPORTS)
def test_an_export_that_is_not_the_policy_is_not_kept(
    client: Client, tiny_sd: Path, tiny_ddpm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, family: str, dtype: str
) -> None:
    model = pb.ModelConfig(dtype=pb.DType.Value(dtype))
    client.open(tiny_sd, model=model) if family == "sd" else client.open(tiny_ddpm, model=model, sampler=DDPM)
    train(client)
    older = client.export(tmp_path)
    plant, why = BAD_EXPORTS[what]
    monkeypatch.setattr(Model, "export", plant)
    with refused(pb.INCONSISTENT) as caught:
        client.export(tmp_path)
    assert why in caught.value.message or "cannot be loaded" in caught.value.message
    assert [file.name for file in tmp_path.iterdir()] == ["pytorch_lora_weights.safetensors"]
    monkeypatch.undo()
    assert client.export(tmp_path).sha256 == older.sha256


def test_a_checkpoint_that_changed_under_the_run_is_found_at_export(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_sd, tmp_path / "model"))
    client.open(model)
    train(client)
    file = model / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["conv_in.bias"] = tensors["conv_in.bias"] + 0.1
    file.unlink()
    save_file(tensors, file, metadata={"format": "pt"})
    with refused(pb.INCONSISTENT) as caught:
        client.export(tmp_path / "export")
    assert "number by number it is the adapter" in caught.value.message
    assert "checkpoint that changed" in caught.value.message
    assert not list((tmp_path / "export").iterdir())
    client.call("Export", pb.ExportRequest(session_id="s", path=str(tmp_path / "export"), unchecked=True))
    assert list((tmp_path / "export").iterdir())


def test_without_memory_for_a_second_network_the_numbers_are_compared(
    opened: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(opened)

    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    opened.handler.sessions["s"].model.fresh_net = full
    opened.export(tmp_path)
    assert "number by number, but drew nothing" in caplog.text
    monkeypatch.setattr(Model, "export", rewritten(exchange))
    with refused(pb.INCONSISTENT):
        opened.export(tmp_path)
