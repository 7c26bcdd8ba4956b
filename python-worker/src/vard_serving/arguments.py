"""Options that the servers share. Imports nothing that takes long."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_starter(parser: argparse.ArgumentParser) -> None:
    """How a starter and the process agree: ``vard_serving.process``."""
    parser.add_argument("--ready-file", type=Path, help="written when it serves: JSON of port and pid")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input ends, so as not to outlive the starter")
