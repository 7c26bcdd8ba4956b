"""Where modules come from, in a process that runs the user's code too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1]


def put_users_modules_last() -> None:
    """Moves the folders of ``PYTHONPATH``, but for this project's own, behind the environment's: a module that happens to
    have an installed one's name, or an installed one of another Python, does not take its place. An empty entry, which
    stands for the working directory, is dropped."""
    named = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and Path(entry).resolve() != SOURCES]
    # Python has made absolute paths of them.
    absolute = [os.path.abspath(entry) for entry in named]
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) not in absolute] + absolute
