"""A confined worker reads and writes under its roots; one without roots trusts its caller."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Client, refused
from vard.v1 import worker_pb2 as pb
from vard_worker.handler import WorkerHandler
from vard_worker.roots import Roots


@dataclass
class Place:
    """A worker confined to two of the folders here."""

    storage: Path
    models: Path
    outside: Path
    client: Client


@pytest.fixture
def place(tmp_path: Path, tiny_sd: Path) -> Place:
    for name in ("storage", "models", "outside"):
        (tmp_path / name).mkdir()
    shutil.copytree(tiny_sd, tmp_path / "models/tiny")
    roots = Roots.of([tmp_path / "storage"], [tmp_path / "models"], allow_hub=False)
    client = Client(WorkerHandler(1, roots))
    client.open(tmp_path / "models/tiny")
    return Place(tmp_path / "storage", tmp_path / "models", tmp_path / "outside", client)


def request(method: str, path: object) -> pb.SaveRequest | pb.RestoreRequest | pb.ExportRequest:
    kind = {"Save": pb.SaveRequest, "Restore": pb.RestoreRequest, "Export": pb.ExportRequest}[method]
    return kind(session_id="other" if method == "Restore" else "s", path=str(path))


def test_what_lies_under_the_roots_is_used(place: Place) -> None:
    place.client.call("Save", request("Save", place.storage / "run/1"))
    place.client.call("Restore", request("Restore", place.storage / "run/1"))
    place.client.call("Export", request("Export", place.storage / "run/export"))
    assert (place.storage / "run/export/pytorch_lora_weights.safetensors").is_file()


@pytest.mark.parametrize("method", ["Save", "Restore", "Export"])
@pytest.mark.parametrize("path", ["outside/x", "storage/../outside/x", "storage/a/../b", "storage", "models/x", "storage2/x", "storage/link/x", "storage/link"])
def test_what_lies_outside_is_refused(place: Place, tmp_path: Path, method: str, path: str) -> None:
    (place.storage / "link").symlink_to(place.outside)
    with refused(pb.INVALID_ARGUMENT) as caught:
        place.client.call(method, request(method, tmp_path / path))
    assert caught.value.field == "path"
    assert "--root" in caught.value.message
    assert not any(place.outside.iterdir())


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 256, "y/" * 3000])
@pytest.mark.parametrize("method", ["Save", "Restore", "Export"])
def test_what_is_no_path_is_refused(opened: Client, method: str, path: str) -> None:
    with refused(pb.INVALID_ARGUMENT) as caught:
        opened.call(method, request(method, path))
    assert caught.value.field == "path"


def test_an_export_replaces_a_link_and_does_not_follow_it(place: Place) -> None:
    victim = place.outside / "victim"
    victim.write_text("precious")
    (place.storage / "export").mkdir()
    (place.storage / "export/pytorch_lora_weights.safetensors").symlink_to(victim)
    place.client.call("Export", request("Export", place.storage / "export"))
    assert victim.read_text() == "precious"


def test_a_checkpoint_with_a_link_in_it_is_refused(place: Place) -> None:
    place.client.call("Save", request("Save", place.storage / "c"))
    (place.storage / "c/adapter.safetensors").rename(place.outside / "adapter")
    (place.storage / "c/adapter.safetensors").symlink_to(place.outside / "adapter")
    with refused(pb.CORRUPT_CHECKPOINT) as caught:
        place.client.call("Restore", request("Restore", place.storage / "c"))
    assert "adapter.safetensors" in caught.value.message


@pytest.mark.parametrize("checkpoint", ["outside/tiny", "models/../outside/tiny", "models/link", "owner/name", "no-such-model"])
def test_a_model_from_outside_is_refused_in_the_same_words_whether_it_is_there_or_not(place: Place, tmp_path: Path, checkpoint: str) -> None:
    shutil.copytree(place.models / "tiny", place.outside / "tiny")
    (place.models / "link").symlink_to(place.outside / "tiny")
    name = checkpoint if checkpoint in ("owner/name", "no-such-model") else str(tmp_path / checkpoint)
    with refused(pb.INVALID_ARGUMENT) as caught:
        Client(place.client.handler, "other").open(Path(name))
    assert caught.value.field == "model.checkpoint"
    assert caught.value.message.endswith("is not under a model root of this worker (--model-root), and hub ids are not allowed (--allow-hub)")


def test_a_model_with_a_link_out_is_refused(place: Place) -> None:
    weights = place.models / "tiny/unet/diffusion_pytorch_model.safetensors"
    weights.rename(place.outside / "weights")
    weights.symlink_to(place.outside / "weights")
    with refused(pb.INVALID_ARGUMENT) as caught:
        Client(place.client.handler, "other").open(place.models / "tiny")
    assert str(weights) in caught.value.message


def test_a_checkpoint_cannot_name_a_model_from_outside(place: Place, client: Client, tiny_sd: Path) -> None:
    """Its checksums are no signature: whoever can write there can make them."""
    client.open(tiny_sd)
    client.call("Save", request("Save", place.storage / "foreign"))
    with refused(pb.INVALID_ARGUMENT) as caught:
        place.client.call("Restore", request("Restore", place.storage / "foreign"))
    assert caught.value.field == "model.checkpoint"


def test_hub_ids_are_told_from_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = Roots.of([], [tmp_path], allow_hub=True)
    assert roots.model("owner/name") is None
    (tmp_path / "owner/name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "owner")
    assert roots.model("name") == tmp_path / "owner/name"
    assert roots.model(str(tmp_path)) == tmp_path
    monkeypatch.chdir("/")
    for path in ("/etc/passwd", "../x", "a/b/c", "./x", "~/x"):
        with refused(pb.INVALID_ARGUMENT):
            roots.model(path)


def test_a_root_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        Roots.of([tmp_path / "misspelt"], [], allow_hub=False)
