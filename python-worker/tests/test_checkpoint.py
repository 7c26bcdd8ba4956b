"""A session saved and restored goes on to the same bits; damage is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import Client, refused
from vard.v1 import worker_pb2 as pb

IDS = ["a", "b", "c", "d"]
TARGETS = {"a": 1.0, "b": -1.0, "c": 0.2, "d": 0.0}


@pytest.fixture
def trained(opened: Client) -> Client:
    opened.sample(IDS)
    opened.fit(TARGETS)
    opened.improve(IDS)
    return opened


def save(client: Client, folder: Path) -> Path:
    client.call("Save", pb.SaveRequest(session_id=client.session_id, path=str(folder)))
    return folder


def restore(client: Client, folder: Path, session_id: str) -> Client:
    client.call("Restore", pb.RestoreRequest(session_id=session_id, path=str(folder)))
    return Client(client.handler, session_id, client.operation)


def go_on(client: Client, folder: Path) -> str:
    """A bit more of everything. Returns the hash of the LoRA."""
    client.fit(TARGETS, seed=9)
    client.improve(IDS)
    client.sample(["e", "f"])
    client.fit(TARGETS | {"e": 0.4, "f": 0.5}, seed=10)
    client.improve(["e", "f"])
    return client.export(folder).sha256


@pytest.mark.parametrize("value", ["CONV", "ENCODER"])
def test_a_restored_session_goes_on_to_the_same_bits(client: Client, tiny_sd: Path, tmp_path: Path, value: str) -> None:
    client.open(tiny_sd, value=pb.ValueConfig(kind=pb.ValueConfig.Kind.Value(value)))
    client.sample(IDS)
    client.fit(TARGETS)
    client.improve(IDS)
    restored = restore(client, save(client, tmp_path / "c"), "restored")
    assert go_on(restored, tmp_path / "one") == go_on(client, tmp_path / "other")


def test_a_restored_session_answers_the_last_change_again(trained: Client, tmp_path: Path) -> None:
    trained.operation -= 1
    answer = trained.improve(IDS)
    restored = restore(trained, save(trained, tmp_path / "c"), "restored")
    restored.operation -= 1
    assert restored.improve(IDS) == answer


def test_a_checkpoint_holds_no_pickle(trained: Client, tmp_path: Path) -> None:
    names = {file.name for file in save(trained, tmp_path / "c").iterdir()}
    assert names == {"manifest.json", "session.json", "adapter.safetensors", "value.safetensors", "optimizers.safetensors", "trajectories.safetensors"}


def test_a_checkpoint_is_written_once(trained: Client, tmp_path: Path) -> None:
    save(trained, tmp_path / "c")
    with refused(pb.STORAGE):
        save(trained, tmp_path / "c")


def test_a_failed_save_leaves_nothing(trained: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vard_worker.checkpoint.flush", full)
    with refused(pb.STORAGE) as caught:
        save(trained, tmp_path / "c")
    assert "No space left" in caught.value.message
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    save(trained, tmp_path / "c")


def test_a_missing_checkpoint(client: Client, tmp_path: Path) -> None:
    with refused(pb.CHECKPOINT_NOT_FOUND):
        restore(client, tmp_path / "nowhere", "r")
    with refused(pb.CHECKPOINT_NOT_FOUND):
        restore(client, tmp_path, "r")


@pytest.mark.parametrize("name", ["adapter.safetensors", "value.safetensors", "optimizers.safetensors", "trajectories.safetensors", "session.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_named(trained: Client, tmp_path: Path, name: str, damage: str) -> None:
    file = save(trained, tmp_path / "c") / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    {"flip": lambda: file.write_bytes(data), "cut": lambda: file.write_bytes(data[:-1]), "remove": file.unlink}[damage]()
    with refused(pb.CORRUPT_CHECKPOINT) as caught:
        restore(trained, tmp_path / "c", "r")
    assert name in caught.value.message
    assert "r" not in trained.handler.sessions


def test_a_foreign_file_is_refused(trained: Client, tmp_path: Path) -> None:
    folder = save(trained, tmp_path / "c")
    (folder / "optimizer.pt").write_bytes(b"\x80\x04.")
    with refused(pb.UNSAFE_CHECKPOINT) as caught:
        restore(trained, folder, "r")
    assert "optimizer.pt" in caught.value.message


def test_a_checkpoint_for_another_model_is_refused(trained: Client, tmp_path: Path) -> None:
    """Well-formed, checksums and all, but for an adapter of another rank."""
    folder = save(trained, tmp_path / "c")
    state = json.loads((folder / "session.json").read_text())
    state["open"]["model"]["adapter"]["rank"] = 2
    (folder / "session.json").write_text(json.dumps(state))
    rehash(folder, "session.json")
    with refused(pb.CORRUPT_CHECKPOINT):
        restore(trained, folder, "r")


def rehash(folder: Path, name: str) -> None:
    from vard_worker.checkpoint import sha256

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_checkpoint_outlives_a_move(trained: Client, tmp_path: Path) -> None:
    moved = shutil.move(save(trained, tmp_path / "c"), tmp_path / "d")
    restored = restore(trained, Path(moved), "restored")
    assert restored.export(tmp_path / "one").sha256 == trained.export(tmp_path / "other").sha256
