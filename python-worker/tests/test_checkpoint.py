"""A session saved and restored goes on to the same bits; damage is named."""

from __future__ import annotations

import json
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from conftest import Client, open_request, refused
from vard.v1 import worker_pb2 as pb
from vard_worker.checkpoint import FILES, MANIFEST, STATE, fingerprint, manifest_of, sha256, unfinished, verify
from vard_worker.errors import WorkerError

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


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may grow beyond it: for the writer, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 500, 5_000, 50_000])
def test_a_full_disk_leaves_nothing_and_harms_no_session(trained: Client, tmp_path: Path, room: int) -> None:
    """It fills up in the middle of one file or another."""
    untouched = restore(trained, save(trained, tmp_path / "before"), "untouched")
    with file_size_limit(room), refused(pb.STORAGE) as caught:
        save(trained, tmp_path / "c")
    assert str(tmp_path / "c") in caught.value.message
    assert [file.name for file in tmp_path.iterdir()] == ["before"]
    save(trained, tmp_path / "c")
    assert go_on(trained, tmp_path / "one") == go_on(untouched, tmp_path / "other")


@pytest.mark.parametrize("room", [0, 500])
def test_an_export_to_a_full_disk_leaves_the_older_one(trained: Client, tmp_path: Path, room: int) -> None:
    older = trained.export(tmp_path)
    trained.improve(IDS)
    with file_size_limit(room), refused(pb.STORAGE):
        trained.export(tmp_path)
    assert [str(file) for file in tmp_path.iterdir()] == [older.file]
    assert sha256(Path(older.file)) == older.sha256


@pytest.mark.parametrize("path", ["file/c", "x" * 250])
def test_a_place_that_cannot_be_written_to(trained: Client, tmp_path: Path, path: str) -> None:
    """A file where a folder should be; a name that leaves no room for the unfinished one's."""
    (tmp_path / "file").write_text("in the way")
    with refused(pb.STORAGE) as caught:
        save(trained, tmp_path / path)
    assert path in caught.value.message
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_save_left_is_swept_by_the_next(trained: Client, tmp_path: Path) -> None:
    left = tmp_path / f".7.{'0' * 32}.part"
    left.mkdir()
    (left / "adapter.safetensors").write_bytes(b"half")
    for other in (".7.part", f".7.{'0' * 31}.part", f"7.{'0' * 32}.part"):
        (tmp_path / other).mkdir()
    save(trained, tmp_path / "8")
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 4


def test_what_another_worker_is_writing_is_not_swept(trained: Client, tmp_path: Path) -> None:
    with unfinished(tmp_path / "7") as beside:
        # Of another process: in one process, too, a lock belongs to an open file.
        save(trained, tmp_path / "8")
        assert beside.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["8"]


def test_a_missing_checkpoint(client: Client, tmp_path: Path) -> None:
    with refused(pb.CHECKPOINT_NOT_FOUND):
        restore(client, tmp_path / "nowhere", "r")
    with refused(pb.CHECKPOINT_NOT_FOUND):
        restore(client, tmp_path, "r")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "its first half": lambda data: data[: len(data) // 2],
    "its last byte missing": lambda data: data[:-1],
    "a byte more": lambda data: data + b" ",
    "zeros": lambda data: bytes(len(data)),
}


ALL_DAMAGES = [(name, damage) for name in (*FILES, MANIFEST) for damage in (*DAMAGES, "missing", "a folder in its place")]
ALL_DAMAGES.remove((MANIFEST, "a byte more"))  # JSON may end in a space


@pytest.mark.parametrize(("name", "damage"), ALL_DAMAGES)
def test_a_damaged_file_is_named(trained: Client, tmp_path: Path, name: str, damage: str) -> None:
    file = save(trained, tmp_path / "c") / name
    whole = file.read_bytes()
    file.unlink()
    if damage == "a folder in its place":
        file.mkdir()
    elif damage != "missing":
        file.write_bytes(DAMAGES[damage](whole))
    with refused(pb.CORRUPT_CHECKPOINT) as caught:
        restore(trained, tmp_path / "c", "r")
    assert name in caught.value.message
    assert "r" not in trained.handler.sessions


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_byte_goes_unseen(trained: Client, tmp_path: Path, name: str) -> None:
    file = save(trained, tmp_path / "c") / name
    whole = file.read_bytes()
    for at in {0, 1, 8, len(whole) // 2, len(whole) - 1, *random.Random(5).sample(range(len(whole)), 20)}:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        file.write_bytes(flipped)
        with refused(pb.CORRUPT_CHECKPOINT) as caught:
            verify(tmp_path / "c")
        assert name in caught.value.message
    file.write_bytes(whole)
    verify(tmp_path / "c")


def test_no_flipped_bit_of_the_manifest_changes_what_it_says(trained: Client, tmp_path: Path) -> None:
    """Every bit of it. One that only changes its layout, a space for a tab, may pass."""
    file = save(trained, tmp_path / "c") / MANIFEST
    whole = file.read_bytes()
    said = json.loads(whole)
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            file.write_bytes(flipped)
            try:
                verify(tmp_path / "c")
            except WorkerError as error:
                assert error.code == pb.CORRUPT_CHECKPOINT
                assert MANIFEST in error.message
            else:
                assert json.loads(bytes(flipped)) == said


def test_a_foreign_file_is_refused(trained: Client, tmp_path: Path) -> None:
    folder = save(trained, tmp_path / "c")
    for name, code in (("optimizer.pt", pb.UNSAFE_CHECKPOINT), ("extra.safetensors", pb.CORRUPT_CHECKPOINT), ("folder", pb.CORRUPT_CHECKPOINT)):
        (folder / name).mkdir() if name == "folder" else (folder / name).write_bytes(b"\x80\x04.")
        with refused(code) as caught:
            restore(trained, folder, "r")
        assert name in caught.value.message
        (folder / name).rmdir() if name == "folder" else (folder / name).unlink()
    restore(trained, folder, "r")


WELL_FORMED: dict[str, Callable[[dict], object]] = {
    "a list": lambda state: [],
    "no operation": lambda state: state.pop("operation"),
    "an operation that is text": lambda state: state.update(operation="3"),
    "trajectories that are a number": lambda state: state.update(trajectories=4),
    "a trajectory that was not saved": lambda state: state["trajectories"].append({"id": "z", "prompt": "", "kl": None}),
    "an unknown field": lambda state: state["settings"].update(colour="red"),
    "a digest that is not base64": lambda state: state.update(last_digest="é"),
    "no sampler": lambda state: state["settings"].pop("sampler"),
    "a rank that is text": lambda state: state["settings"]["model"]["adapter"].update(rank="4"),
    "an unknown key": lambda state: state["settings"]["model"].update(colour="red"),
    "fewer steps": lambda state: state["settings"]["sampler"].update(steps=3),
    "an adapter of another rank": lambda state: state["settings"]["model"]["adapter"].update(rank=2),
    "no value network": lambda state: state["settings"].update(value=None),
    "a value network of another width": lambda state: state["settings"]["value"].update(width=32),
}


@pytest.mark.parametrize("change", WELL_FORMED.values(), ids=WELL_FORMED.keys())
def test_a_checkpoint_that_does_not_fit_together_is_refused(trained: Client, tmp_path: Path, change: Callable[[dict], object]) -> None:
    """Checksums and all are right: it was made so."""
    folder = save(trained, tmp_path / "c")
    state = json.loads((folder / STATE).read_text())
    changed = change(state)
    (folder / STATE).write_text(json.dumps(changed if changed == [] else state))
    rehash(folder, STATE)
    with refused(pb.CORRUPT_CHECKPOINT):
        restore(trained, folder, "r")
    assert "r" not in trained.handler.sessions


def rehash(folder: Path, name: str) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    files[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    (folder / MANIFEST).write_text(manifest_of(files))


def test_a_checkpoint_outlives_a_move(trained: Client, tmp_path: Path) -> None:
    moved = shutil.move(save(trained, tmp_path / "c"), tmp_path / "d")
    restored = restore(trained, Path(moved), "restored")
    assert restored.export(tmp_path / "one").sha256 == trained.export(tmp_path / "other").sha256


def test_an_adapter_is_not_restored_onto_other_weights(client: Client, tiny_sd: Path, tmp_path: Path) -> None:
    """Of the same shapes: a fine-tune in its place, or the hub's default revision a week later."""
    model = Path(shutil.copytree(tiny_sd, tmp_path / "model"))
    client.open(model)
    client.sample(IDS)
    folder = save(client, tmp_path / "c")
    restore(client, folder, "same")
    weights = model / "vae/diffusion_pytorch_model.safetensors"
    other = load_file(weights)
    other["decoder.conv_in.weight"][0, 0, 0, 0] += 1e-6
    weights.unlink()
    save_file(other, weights, metadata={"format": "pt"})
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        restore(client, folder, "other")
    assert "not those that this run began with" in caught.value.message
    assert caught.value.field == "model.checkpoint"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scheduler/scheduler_config.json", '"prediction_type": "epsilon"', '"prediction_type": "v_prediction"'),
        ("vae/config.json", '"scaling_factor": ', '"scaling_factor": 1'),
        ("tokenizer/tokenizer_config.json", "{", '{"clean_up_tokenization_spaces": false, '),
    ],
)
def test_an_adapter_is_not_restored_onto_another_meaning_of_the_weights(client: Client, tiny_sd: Path, tmp_path: Path, file: str, old: str, new: str) -> None:
    model = Path(shutil.copytree(tiny_sd, tmp_path / "model"))
    client.open(model)
    folder = save(client, tmp_path / "c")
    restore(client, folder, "same")
    text = (model / file).read_text()
    assert old in text
    (model / file).write_text(text.replace(old, new, 1))
    with refused(pb.MODEL_NOT_LOADABLE) as caught:
        restore(client, folder, "other")
    assert f"{file} changed since this run began" in caught.value.message


def test_a_checkpoint_without_a_fingerprint_is_restored(trained: Client, tmp_path: Path) -> None:
    """Those of earlier versions have none."""
    folder = save(trained, tmp_path / "c")
    state = json.loads((folder / STATE).read_text())
    del state["weights"], state["configurations"]
    (folder / STATE).write_text(json.dumps(state))
    rehash(folder, STATE)
    restore(trained, folder, "restored")


def as_format_2(folder: Path, checkpoint: Path, eta: float) -> None:
    """Makes a checkpoint what earlier versions wrote: how it was opened is the JSON of the protocol's message, which leaves
    out what is 0."""
    state = json.loads((folder / STATE).read_text())
    del state["settings"]
    state["open"] = {
        "sessionId": "s",
        "model": {
            "checkpoint": str(checkpoint),
            "dtype": "FLOAT32",
            "device": "cpu",
            "adapter": {"rank": 4, "alpha": 8.0, "targets": ["to_q", "to_k", "to_v", "to_out.0"]},
        },
        "sampler": {"kind": "DDIM", "steps": 5, "guidance": 3.0} | ({"eta": eta} if eta else {}),
        "value": {"kind": "CONV", "width": 16},
        "seed": "7",
    }
    (folder / STATE).write_text(json.dumps(state))
    manifest = json.loads((folder / MANIFEST).read_text())
    files = manifest["files"] | {STATE: {"bytes": (folder / STATE).stat().st_size, "sha256": sha256(folder / STATE)}}
    content = {"format": 2, "files": files}
    (folder / MANIFEST).write_text(json.dumps({**content, "sha256": fingerprint(content)}))


@pytest.mark.parametrize("eta", [1.0, 0.0])
def test_a_checkpoint_of_format_2_is_read(client: Client, tiny_sd: Path, tmp_path: Path, eta: float) -> None:
    request = open_request(tiny_sd)
    request.sampler.eta = eta
    client.call("Open", request)
    client.sample(IDS)
    client.fit(TARGETS)
    client.improve(IDS)
    folder = save(client, tmp_path / "c")
    as_format_2(folder, tiny_sd, eta)
    restored = restore(client, folder, "restored")
    sessions = client.handler.sessions
    assert replace(sessions["restored"].settings, session_id="s") == sessions["s"].settings
    assert go_on(restored, tmp_path / "one") == go_on(client, tmp_path / "other")


@pytest.mark.parametrize(("format_", "by", "code"), [(1, None, pb.CORRUPT_CHECKPOINT), (5, "9.1.0", pb.NEWER_STATE)])
def test_a_format_that_is_not_known_is_refused_by_name(trained: Client, tmp_path: Path, format_: int, by: str | None, code: int) -> None:
    folder = save(trained, tmp_path / "c")
    manifest = json.loads((folder / MANIFEST).read_text())
    content = {"format": format_, "files": manifest["files"]} | ({"written_by": by} if by else {})
    (folder / MANIFEST).write_text(json.dumps({**content, "sha256": fingerprint(content)}))
    with refused(code) as caught:
        restore(trained, folder, "r")
    assert f"its format is {format_}" in caught.value.message
    assert "reads 2, 3, 4" in caught.value.message
    assert (f"vard {by}" if by else "the version of vard that wrote it") in caught.value.message
