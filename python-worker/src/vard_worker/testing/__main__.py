from __future__ import annotations

import argparse
from pathlib import Path

from vard_worker import testing

parser = argparse.ArgumentParser(prog="vard_worker.testing", description=testing.__doc__)
parser.add_argument("kind", choices=[*testing.CHECKPOINTS, "all"], help='"all" makes each in a folder of its name')
parser.add_argument("folder", type=Path)
arguments = parser.parse_args()
if arguments.kind == "all":
    for kind, make in testing.CHECKPOINTS.items():
        make().save_pretrained(arguments.folder / kind)
else:
    testing.CHECKPOINTS[arguments.kind]().save_pretrained(arguments.folder)
