"""A session on disk: safetensors and JSON with checksums, never pickle.

    manifest.json              size and SHA-256 of every other file
    session.json               how it was opened, operation number, last answer, trajectories' names
    adapter.safetensors        the LoRA's weights
    value.safetensors          the value network's weights
    optimizers.safetensors     both optimisers' moments and step counts
    trajectories.safetensors   every trajectory that is held
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path
from uuid import uuid4

import torch
from google.protobuf import json_format
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vard.v1 import worker_pb2 as pb
from vard_worker.errors import WorkerError
from vard_worker.session import LastChange, Session
from vard_worker.trajectories import Trajectory

FORMAT = 1
MANIFEST = "manifest.json"


def save(session: Session, folder: Path) -> int:
    """Writes the folder beside its place, then renames it, so that it appears whole or not at all. Returns its bytes."""
    if folder.exists():
        raise WorkerError(pb.STORAGE, f"{folder} exists already; a checkpoint is written once", "path")
    beside = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        write(session, beside)
        sizes = {file.name: file.stat().st_size for file in beside.iterdir()}
        manifest = {"format": FORMAT, "files": {name: {"bytes": size, "sha256": sha256(beside / name)} for name, size in sorted(sizes.items())}}
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=1))
        for file in beside.iterdir():
            flush(file)
        os.rename(beside, folder)
        flush(folder.parent)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise WorkerError(pb.STORAGE, f"{folder} could not be written: {error}", "path") from error
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return sum(sizes.values())


def write(session: Session, folder: Path) -> None:
    save_file(trained(session.model.unet), folder / "adapter.safetensors")
    optimizers = moments("policy", session.policy_optimizer)
    if session.value is not None:
        save_file(session.value.state_dict(), folder / "value.safetensors")
        optimizers |= moments("value", session.value_optimizer)
    save_file(optimizers, folder / "optimizers.safetensors")
    names, tensors = [], {}
    for i, (name, trajectory) in enumerate(session.trajectories.items()):
        names.append({"id": name, "prompt": trajectory.prompt, "kl": trajectory.kl})
        tensors |= {f"{i}.states": trajectory.states, f"{i}.log_probs": trajectory.log_probs}
    save_file(tensors, folder / "trajectories.safetensors")
    state = {
        "open": json_format.MessageToDict(session.request),
        "operation": session.operation,
        "last_digest": base64.b64encode(session.last.digest).decode(),
        "last_response": base64.b64encode(session.last.response).decode(),
        "trajectories": names,
    }
    (folder / "session.json").write_text(json.dumps(state, indent=1))


def restore(session_id: str, folder: Path) -> Session:
    """Makes a session of a folder that ``save`` wrote, after checking every file of it."""
    verify(folder)
    try:
        state = json.loads((folder / "session.json").read_text())
        request = json_format.ParseDict(state["open"], pb.OpenRequest())
        request.session_id = session_id
        adapter = load_file(folder / "adapter.safetensors")
        optimizers = load_file(folder / "optimizers.safetensors")
        held = load_file(folder / "trajectories.safetensors")
    except (ValueError, KeyError, SafetensorError, json_format.ParseError) as error:
        raise corrupt(folder, str(error)) from error
    session = Session.open(request)
    device = session.model.device
    try:
        place(adapter, trained(session.model.unet))
        set_moments("policy", session.policy_optimizer, optimizers)
        if session.value is not None:
            session.value.load_state_dict(load_file(folder / "value.safetensors"))
            set_moments("value", session.value_optimizer, optimizers)
        session.operation = state["operation"]
        session.last = LastChange(base64.b64decode(state["last_digest"]), base64.b64decode(state["last_response"]))
        for i, name in enumerate(state["trajectories"]):
            session.trajectories[name["id"]] = Trajectory(
                name["prompt"], held[f"{i}.states"].to(device), held[f"{i}.log_probs"].to(device), name["kl"]
            )
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise corrupt(folder, f"it does not fit the model that it names: {error}") from error
    return session


def verify(folder: Path) -> None:
    """Raises CHECKPOINT_NOT_FOUND, CORRUPT_CHECKPOINT or UNSAFE_CHECKPOINT, naming the file."""
    if not folder.is_dir():
        raise WorkerError(pb.CHECKPOINT_NOT_FOUND, f"{folder}: no such folder", "path")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        files = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
        written = manifest["format"]
    except FileNotFoundError as error:
        raise WorkerError(pb.CHECKPOINT_NOT_FOUND, f"{folder}: no {MANIFEST}; not a checkpoint of vard", "path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise corrupt(folder, f"{MANIFEST} is not readable: {error}") from error
    if written != FORMAT:
        raise corrupt(folder, f"its format is {written}; this worker reads {FORMAT}")
    for file in sorted(folder.iterdir()):
        if file.name not in files and file.name != MANIFEST:
            raise WorkerError(
                pb.UNSAFE_CHECKPOINT, f"{file}: not in {MANIFEST}; a checkpoint holds safetensors and JSON of its own alone; remove it", "path"
            )
    for name, (size, digest) in files.items():
        file = folder / name
        if not file.is_file():
            raise corrupt(folder, f"{name} is missing")
        if file.stat().st_size != size or sha256(file) != digest:
            raise corrupt(folder, f"{name} is not as it was written: size or SHA-256 differs")


def corrupt(folder: Path, why: str) -> WorkerError:
    return WorkerError(pb.CORRUPT_CHECKPOINT, f"{folder}: {why}; use an earlier checkpoint", "path")


def trained(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.data for name, parameter in module.named_parameters() if parameter.requires_grad}


def place(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    if source.keys() != target.keys():
        raise ValueError(f"other weights: {sorted(source.keys() ^ target.keys())[:3]}")
    for name, tensor in target.items():
        if source[name].shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(source[name].shape)}, not {tuple(tensor.shape)}")
        tensor.copy_(source[name])


def moments(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{name}.{i}.{key}": tensor for i, entry in state.items() for key, tensor in entry.items()}


def set_moments(name: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        owner, index, key = path.split(".")
        if owner == name:
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Makes sure that a file, or a folder's list of names, survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
