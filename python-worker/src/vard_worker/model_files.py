"""Reads a model folder's files without trust: only regular files, none without a bound, and finds its weights."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from vard_worker.errors import Code, WorkerError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of files that are read by unpickling, which runs code of their author."""
READ_BY_LIBRARIES = (".json", ".txt", ".safetensors")
"""Endings of what diffusers and transformers read of a part."""
MOST_CONFIG = 1 << 20
"""Bytes of a configuration; most have some thousand."""
MOST_SHARD_LIST = 16 << 20
MOST_VOCABULARY = 64 << 20
VARIANTS = ("fp32", "bf16", "fp16")
"""Which of several variants is loaded where the plain weights are missing: the most precise."""


def not_loadable(checkpoint: str, why: str) -> WorkerError:
    return WorkerError(Code.MODEL_NOT_LOADABLE, f"model.checkpoint: {checkpoint}: {why}", "model.checkpoint")


def unsafe(checkpoint: str, why: str) -> WorkerError:
    return WorkerError(Code.UNSAFE_CHECKPOINT, f"model.checkpoint: {checkpoint}: {why}", "model.checkpoint")


def files(folder: Path) -> Iterator[Path]:
    """The folder's entries but the hidden ones, which no library reads: macOS puts a ``._x`` beside each ``x``."""
    return iter(sorted(file for file in folder.iterdir() if not file.name.startswith(".")))


def check_files(folder: Path, checkpoint: str) -> None:
    """Refuses what would hang or fill the memory of those who read it: pipes, devices, gigabytes of JSON."""
    for file in files(folder):
        place = f"{folder.name}/{file.name}"
        try:
            status = file.stat()
        except OSError as error:
            if file.suffix in READ_BY_LIBRARIES:
                raise not_loadable(checkpoint, f"{place} is not readable: {error.strerror}; download or copy the model again") from error
            continue
        if stat.S_ISDIR(status.st_mode) and file.suffix not in READ_BY_LIBRARIES:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise not_loadable(checkpoint, f"{place} is {kind_of(status.st_mode)}, not a file; copy the model again, without it")
        if status.st_size > most_bytes(file):
            raise too_large(checkpoint, place, status.st_size, most_bytes(file))


def most_bytes(file: Path) -> float:
    """Of what is read whole; weights are mapped, and other files stay unread."""
    if file.name.startswith(("tokenizer", "vocab.", "merges.", "added_tokens.", "special_tokens_map.")):
        return MOST_VOCABULARY
    if ".safetensors.index." in file.name:
        return MOST_SHARD_LIST
    return MOST_CONFIG if file.name.endswith(("config.json", "model_index.json")) else math.inf


def kind_of(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return kinds.get(stat.S_IFMT(mode), "something special")


def too_large(checkpoint: str, place: str, size: int, most: int) -> WorkerError:
    return not_loadable(checkpoint, f"{place} has {size} bytes, and {most} are the most; it is no such file as diffusers writes: save the model again")


def read_json(file: Path, checkpoint: str) -> dict[str, object]:
    """A JSON object, from a regular file of bounded size. Never waits: a pipe without a writer is refused."""
    place = f"{file.parent.name}/{file.name}"
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            mode, most = os.fstat(stream.fileno()).st_mode, int(most_bytes(file))
            if not stat.S_ISREG(mode):
                raise not_loadable(checkpoint, f"{place} is {kind_of(mode)}, not a file; copy the model again, without it")
            data = stream.read(most + 1)
        if len(data) > most:
            raise too_large(checkpoint, place, os.stat(file).st_size, most)
        content = json.loads(data.decode())
    except FileNotFoundError as error:
        raise not_loadable(checkpoint, f"{place} is missing; download the model again, or save it by save_pretrained(folder)") from error
    except OSError as error:
        raise not_loadable(checkpoint, f"{place} is not readable: {error.strerror}; let the worker's user read it") from error
    except (ValueError, RecursionError) as error:
        raise not_loadable(checkpoint, f"{place} is not JSON in UTF-8 without a BOM: {error}; download the model again, or correct the file") from error
    if not isinstance(content, dict):
        raise not_loadable(checkpoint, f"{place} is no JSON object")
    return content


def digests(root: Path, parts: Iterable[str]) -> dict[str, str]:
    """SHA-256, hex, of each file but weights that decides what the parts of a checked folder mean: configurations and
    vocabularies, by their path in the folder."""
    read = [root / "model_index.json", *(file for part in parts for file in files(root / part) if file.suffix in (".json", ".txt"))]
    return {f"{file.relative_to(root)}": hashlib.sha256(file.read_bytes()).hexdigest() for file in read if ".safetensors.index." not in file.name}


def variant(folder: Path, stem: str, checkpoint: str) -> str | None:
    """Which variant of a part's weights is to be loaded: None for ``stem.safetensors`` or its shards, else ``fp16`` for
    ``stem.fp16.safetensors``, and the like. Raises where there are no safetensors."""
    names = [file.name for file in files(folder)]
    if f"{stem}.safetensors" in names or f"{stem}.safetensors.index.json" in names:
        return None
    pattern = re.compile(rf"{stem}\.(\w+)(-\d{{5}}-of-\d{{5}})?\.safetensors")
    found = sorted({match[1] for match in map(pattern.fullmatch, names) if match})
    known = [name for name in VARIANTS if name in found]
    if known or len(found) == 1:
        return (known or found)[0]
    if found:
        raise not_loadable(
            checkpoint, f"{folder.name} has the variants {', '.join(found)} and no {stem}.safetensors; rename the one to load to {stem}.safetensors"
        )
    pickles = [name for name in names if name.endswith(PICKLED)]
    if pickles:
        raise unsafe(
            checkpoint,
            f"{folder.name}/{pickles[0]} can only be read by unpickling, which runs code; save the model with safe_serialization=True",
        )
    raise not_loadable(checkpoint, f"{folder.name}/{stem}.safetensors is missing; download the model again, or save it by save_pretrained(folder)")
