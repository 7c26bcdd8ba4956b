"""A session on disk: safetensors and JSON with checksums, never pickle.

manifest.json              size and SHA-256 of every other file, and of itself
session.json               how it was opened, operation number, last answer, trajectories' names
adapter.safetensors        the LoRA's weights
policies.safetensors       snapshots of them, where there are any: name, then the weight's name, with a colon between
value.safetensors          the value network's weights
optimizers.safetensors     both optimisers' moments and step counts
trajectories.safetensors   every trajectory that is held
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import operator
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vard_worker import __version__, exported
from vard_worker.errors import Code, WorkerError
from vard_worker.finite import demand_finite, not_finite
from vard_worker.formats import FORMAT, READERS, settings_of, written
from vard_worker.model_files import PICKLED
from vard_worker.policies import Policies
from vard_worker.roots import Roots
from vard_worker.session import LastChange, Session
from vard_worker.settings import DTYPES
from vard_worker.trajectories import Trajectory
from vard_worker.weights import check_same, check_same_configurations

MANIFEST = "manifest.json"
STATE = "session.json"
ADAPTER = "adapter.safetensors"
POLICIES = "policies.safetensors"
VALUE = "value.safetensors"
OPTIMIZERS = "optimizers.safetensors"
TRAJECTORIES = "trajectories.safetensors"
FILES = (STATE, ADAPTER, VALUE, OPTIMIZERS, TRAJECTORIES)
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.part", re.DOTALL)


def save(session: Session, folder: Path) -> int:
    """Writes the folder beside its place, then renames it, so that it appears whole or not at all. Returns its bytes."""
    with stored(folder):
        if os.path.lexists(folder):
            raise WorkerError(Code.STORAGE, f"{folder} exists already; a checkpoint is written once", "path")
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(folder.parent)
        with unfinished(folder) as beside:
            write(session, beside)
            files = {file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in sorted(beside.iterdir())}
            (beside / MANIFEST).write_text(manifest_of(files))
            for file in beside.iterdir():
                flush(file)
            flush(beside)
            os.rename(beside, folder)
        flush(folder.parent)
    return sum(entry["bytes"] for entry in files.values())


def export(session: Session, folder: Path, checked: bool) -> Path:
    """Writes the adapter's file into the folder, in the place of an older one; whole or not at all, and not at all where it
    does not pass ``exported.check``."""
    model = session.model
    demand_finite("the adapter", model.policies.weights().items(), "nothing was exported; go back to an earlier checkpoint")
    with stored(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(folder)
        with unfinished(folder / "export") as beside:
            made = model.export(beside)
            if checked:
                exported.check(session, made)
            flush(made)
            # Renaming replaces a symbolic link of that name. Writing would follow it.
            os.replace(made, folder / made.name)
            flush(folder)
            return folder / made.name


@contextmanager
def stored(path: Path) -> Iterator[None]:
    """Tells a failure to write as STORAGE: the disk is full, or is not to be written to."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise WorkerError(Code.STORAGE, f"{path} could not be written: {error}; what was there is as it was", "path") from error


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder``, for this user alone, gone afterwards unless it was renamed.

    It is locked for as long as its writer lives, so that ``sweep`` can tell what a killed one left.
    """
    beside = folder.with_name(f".{folder.name}.{uuid4().hex}.part")
    beside.mkdir(mode=0o700)
    descriptor = os.open(beside, os.O_RDONLY)
    try:
        # Some network file systems lock no folders. There, nothing is swept.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Removes what writers that were killed have left in the folder."""
    for left in folder.iterdir():
        if not UNFINISHED.fullmatch(left.name) or left.is_symlink() or not left.is_dir():
            continue
        # An error: its writer lives, has just finished, or the file system cannot say.
        with suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


def manifest_of(files: dict[str, dict[str, object]]) -> str:
    content = {"format": FORMAT, "written_by": __version__, "files": files}
    return json.dumps({**content, "sha256": fingerprint(content)}, indent=1)


def fingerprint(content: dict[str, object]) -> str:
    """The manifest's own checksum: of what it says, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write(session: Session, folder: Path) -> None:
    write_tensors(trained(session.model.net), folder / ADAPTER)
    snapshots = session.model.policies.snapshots
    if snapshots:
        write_tensors({f"{policy}:{name}": weight for policy, weights in snapshots.items() for name, weight in weights.items()}, folder / POLICIES)
    optimizers = moments("policy", session.policy_optimizer)
    if session.value is not None:
        write_tensors(session.value.state_dict(), folder / VALUE)
        optimizers |= moments("value", session.value_optimizer)
    write_tensors(optimizers, folder / OPTIMIZERS)
    names, tensors = [], {}
    for i, (name, trajectory) in enumerate(session.trajectories.items()):
        names.append({"id": name, "prompt": trajectory.prompt, "kl": trajectory.kl})
        tensors |= {f"{i}.states": trajectory.states, f"{i}.log_probs": trajectory.log_probs}
        if trajectory.clean is not None:
            tensors[f"{i}.clean"] = trajectory.clean
    write_tensors(tensors, folder / TRAJECTORIES)
    state = {
        "weights": session.weights,
        "configurations": session.model.configurations,
        **written(session.settings),
        "operation": session.operation,
        "last_digest": base64.b64encode(session.last.digest).decode(),
        "last_response": base64.b64encode(session.last.response).decode(),
        "trajectories": names,
    }
    (folder / STATE).write_text(json.dumps(state, indent=1))


def write_tensors(tensors: dict[str, Tensor], file: Path) -> None:
    demand_finite(f"{file.name} of the checkpoint", tensors.items(), "nothing was saved; go back to an earlier checkpoint")
    save_file(tensors, file)


def restore(session_id: str, folder: Path, roots: Roots) -> Session:
    """Makes a session of a folder that ``save`` wrote, after checking every file of it."""
    try:
        written_as = verify(folder)
        state = json.loads((folder / STATE).read_text())
        settings = replace(settings_of(state, written_as), session_id=session_id)
        if (folder / VALUE).exists() != (settings.value is not None):
            raise ValueError(f"{STATE} and {VALUE} do not agree on whether there is a value network")
        tensors = {file.name: load_file(file) for file in folder.glob("*.safetensors")}
        for file, held in tensors.items():
            if (name := not_finite(held.items())) is not None:
                raise ValueError(f"{name} in {file} is NaN or infinite")
    except OSError as error:
        raise WorkerError(Code.STORAGE, f"{folder} could not be read: {error}", "path") from error
    except (*MALFORMED, SafetensorError) as error:
        raise corrupt(folder, f"{type(error).__name__}: {error}") from error
    # Here a model that is not there, or is not allowed, shows as what it is.
    session = Session.open(settings, roots)
    # Checkpoints of earlier versions have neither.
    check_same_configurations(session.model.configurations, state.get("configurations", session.model.configurations), settings.model.checkpoint)
    check_same(session.weights, state.get("weights", session.weights), settings.model.checkpoint)
    try:
        place(tensors[ADAPTER], trained(session.model.net))
        place_snapshots(session.model.policies, tensors.get(POLICIES, {}))
        set_moments("policy", session.policy_optimizer, tensors[OPTIMIZERS])
        if session.value is not None:
            session.value.load_state_dict(tensors[VALUE])
            set_moments("value", session.value_optimizer, tensors[OPTIMIZERS])
        session.operation = operator.index(state["operation"])
        session.last = LastChange(base64.b64decode(state["last_digest"]), base64.b64decode(state["last_response"]))
        for i, name in enumerate(state["trajectories"]):
            session.trajectories[name["id"]] = trajectory(name, i, tensors[TRAJECTORIES], session)
    except MALFORMED as error:
        raise corrupt(folder, f"it does not fit the model that it names: {error}") from error
    return session


MALFORMED = (KeyError, ValueError, TypeError, AttributeError, RuntimeError)
"""What well-formed files of other contents than expected lead to."""


def trajectory(name: dict[str, object], i: int, held: dict[str, Tensor], session: Session) -> Trajectory:
    chain, states, log_probs = session.model.chain, held[f"{i}.states"], held[f"{i}.log_probs"]
    kept = session.settings.trajectories
    if states.shape != (chain.steps + 1, *session.model.latent_shape) or log_probs.shape != (chain.steps,):
        raise ValueError(f"trajectory {name['id']} has states of shape {tuple(states.shape)}")
    if states.dtype != DTYPES[kept.dtype]:
        raise ValueError(f"trajectory {name['id']} has states of {states.dtype}, and {kept.dtype} is what it was to be kept in")
    clean = held[f"{i}.clean"] if session.value is not None and session.value.looks_ahead else None
    if clean is not None and (clean.shape != states.shape or clean.dtype != states.dtype):
        raise ValueError(f"trajectory {name['id']} looks ahead to {clean.dtype} of shape {tuple(clean.shape)}, and its states are not like that")
    place = torch.device("cpu") if kept.device == "cpu" else session.model.device
    return Trajectory(name["prompt"], states.to(place), log_probs.to(session.model.device), name["kl"], None if clean is None else clean.to(place))


def verify(folder: Path) -> int:
    """The checkpoint's format. Raises CHECKPOINT_NOT_FOUND, CORRUPT_CHECKPOINT, UNSAFE_CHECKPOINT or NEWER_STATE, naming the file."""
    if not folder.is_dir():
        raise WorkerError(Code.CHECKPOINT_NOT_FOUND, f"{folder}: no such folder", "path")
    present = {file.name: file for file in sorted(folder.iterdir())}
    if not present.keys() & {MANIFEST, *FILES}:
        raise WorkerError(Code.CHECKPOINT_NOT_FOUND, f"{folder}: nothing of a checkpoint is in it", "path")
    written_as, files = read_manifest(folder)
    for name, file in present.items():
        if name not in files and name != MANIFEST:
            why = f"{name} is not in {MANIFEST}; a checkpoint holds safetensors and JSON of its own alone; remove it"
            if file.suffix in PICKLED:
                raise WorkerError(Code.UNSAFE_CHECKPOINT, f"{folder}: {why}", "path")
            raise corrupt(folder, why)
    for name, (size, digest) in files.items():
        if name not in present:
            raise corrupt(folder, f"{name} is missing")
        # A link may lead out of the folders that the worker keeps to, and to another file after this check.
        if present[name].is_symlink() or not present[name].is_file():
            raise corrupt(folder, f"{name} is no plain file")
        if present[name].stat().st_size != size or sha256(present[name]) != digest:
            raise corrupt(folder, f"{name} is not as it was written: size or SHA-256 differs")
    return written_as


def read_manifest(folder: Path) -> tuple[int, dict[str, tuple[int, str]]]:
    """The format, and each file's size and SHA-256."""
    file = folder / MANIFEST
    if file.is_symlink() or not file.is_file():
        raise corrupt(folder, f"{MANIFEST} is missing")
    try:
        manifest = json.loads(file.read_text())
        own = manifest.pop("sha256")
        written_as, files = operator.index(manifest["format"]), {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
    except (*MALFORMED, RecursionError) as error:
        raise corrupt(folder, f"{MANIFEST} is not readable: {type(error).__name__}: {error}") from error
    if own != fingerprint(manifest):
        raise corrupt(folder, f"{MANIFEST} is not as it was written: its SHA-256 differs")
    if written_as not in READERS:
        raise unknown_format(folder, written_as, manifest.get("written_by"))
    other = files.keys() ^ set(FILES)
    if other - {VALUE, POLICIES}:
        raise corrupt(folder, f"{MANIFEST} does not name the files of a checkpoint: {sorted(other)}")
    return written_as, files


def corrupt(folder: Path, why: str) -> WorkerError:
    return WorkerError(Code.CORRUPT_CHECKPOINT, f"{folder}: {why}; use an earlier checkpoint", "path")


def unknown_format(folder: Path, written_as: int, by: object) -> WorkerError:
    known = ", ".join(map(str, sorted(READERS)))
    cure = f"resume the run with vard {by}, which wrote it" if by else "resume the run with the version of vard that wrote it"
    # A newer one is whole: a run that set it aside as damaged would begin again.
    code = Code.NEWER_STATE if written_as > FORMAT else Code.CORRUPT_CHECKPOINT
    return WorkerError(code, f"{folder}: its format is {written_as}; this worker ({__version__}) reads {known}; {cure}, or start a new run", "path")


def trained(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.data for name, parameter in module.named_parameters() if parameter.requires_grad}


def place(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    if source.keys() != target.keys():
        raise ValueError(f"other weights: {sorted(source.keys() ^ target.keys())[:3]}")
    for name, tensor in target.items():
        if source[name].shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(source[name].shape)}, not {tuple(tensor.shape)}")
        tensor.copy_(source[name])


def place_snapshots(policies: Policies, tensors: dict[str, Tensor]) -> None:
    held: dict[str, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        policy, name = path.split(":")
        held.setdefault(policy, {})[name] = tensor
    for policy, weights in held.items():
        policies.snapshot(policy)
        place(weights, policies.snapshots[policy])


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
