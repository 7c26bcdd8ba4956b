"""The configurations of published models, written down from diffusers' and the models' documentation: no weights."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "published"


def write(name: str, root: Path) -> Path:
    """A model's folder with configurations alone."""
    for file, content in json.loads((FOLDER / f"{name}.json").read_text()).items():
        (root / name / file).parent.mkdir(parents=True, exist_ok=True)
        (root / name / file).write_text(json.dumps(content))
    return root / name
