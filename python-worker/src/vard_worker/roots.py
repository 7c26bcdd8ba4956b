"""Which folders, and whether the hub, a worker's callers may name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from vard_worker.errors import invalid

HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
LONGEST_PATH, LONGEST_NAME = 4095, 255
"""Bytes of a path, and of one name in it, that Linux takes."""


@dataclass(frozen=True)
class Roots:
    """Naming any root confines a worker to what is named. Without one it trusts its callers, as a worker that its only
    caller started may: with the rights it has, its caller could do as much itself.

    Paths are compared, and then used, with every symbolic link resolved.
    """

    storage: tuple[Path, ...] = ()
    """Checkpoints and exports lie under these."""
    models: tuple[Path, ...] = ()
    allow_hub: bool = False
    """Whether a confined worker loads models of the hub."""

    @staticmethod
    def of(storage: list[Path], models: list[Path], allow_hub: bool) -> Roots:
        """Raises ValueError for a root that is no folder: a misspelt one would be found at a run's first checkpoint."""
        for root in (*storage, *models):
            if not root.is_dir():
                raise ValueError(f"{root} is no folder; make it, or name another root")
        return Roots(tuple(root.resolve() for root in storage), tuple(root.resolve() for root in models), allow_hub)

    @property
    def confined(self) -> bool:
        return bool(self.storage or self.models)

    def folder(self, path: str) -> Path:
        """The folder of a request that saves, restores or exports."""
        check_name("path", path)
        if not self.confined:
            return Path(path)
        folder = resolved(path, self.storage)
        # A checkpoint is written beside its place first, and beside a root is outside.
        if folder is None or folder in self.storage:
            raise invalid("path", f"{path} is not under a root of this worker; give a path under one, without '..', or start it with another --root")
        return folder

    def model(self, checkpoint: str) -> Path | None:
        """What a model is loaded from, a folder if it is one that can be; or None where it is to come from the hub."""
        field = "model.checkpoint"
        check_name(field, checkpoint)
        if not self.confined:
            return Path(checkpoint) if os.path.exists(checkpoint) else None
        folder = resolved(checkpoint, self.models)
        if folder is not None:
            return folder
        if self.allow_hub and HUB_ID.fullmatch(checkpoint):
            return None
        hub = "a hub id's form is 'name' or 'owner/name'" if self.allow_hub else "hub ids are not allowed (--allow-hub)"
        # The same text whether there is something at that path or not: the caller is not to learn it.
        raise invalid(field, f"{checkpoint} is not under a model root of this worker (--model-root), and {hub}")

    def check_links(self, folder: Path) -> None:
        """Refuses a model's folder with a link out of the roots: what it leads to would be read."""
        if not self.confined:
            return
        for file in folder.rglob("*"):
            if file.is_symlink() and not within(file.resolve(), self.models):
                raise invalid("model.checkpoint", f"{file} is a link out of the model roots of this worker; put a copy in its place")


def resolved(path: str, roots: tuple[Path, ...]) -> Path | None:
    """The path without symbolic links, if that is under a root and it was named without '..'."""
    real = Path(os.path.realpath(path))
    return real if ".." not in Path(path).parts and within(real, roots) else None


def within(path: Path, roots: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def check_name(field: str, path: str) -> None:
    """Refuses what no file system takes."""
    if not path:
        raise invalid(field, "empty; name a folder")
    if "\0" in path:
        raise invalid(field, f"{path!r} is no folder's name")
    encoded = os.fsencode(path)
    if len(encoded) > LONGEST_PATH or max(map(len, encoded.split(b"/"))) > LONGEST_NAME:
        raise invalid(field, f"{path[:40]!r}… is too long for a path")
