from pathlib import Path

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

from vard_emoji import export, models

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def checkpoint() -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(ROOT / "checkpoints" / "emoji-sd", local_files_only=True)


def test_hearts_have_the_colour_of_their_names(checkpoint):
    prompts = ["heavy black heart , smileys & emotion", "green heart , smileys & emotion"]
    prompts.append("blue heart , smileys & emotion")
    hearts = [np.asarray(image)[10:20, 10:22].mean((0, 1)) for image in export.sample(checkpoint, prompts)]
    # Unicode's heavy black heart is the red one.
    assert [int(colour.argmax()) for colour in hearts] == [0, 1, 2]
    assert all(np.ptp(colour) > 80 for colour in hearts)


def test_every_example_prompt_fits_the_text_encoder(checkpoint):
    lines = (ROOT / "examples" / "emoji-prompts.txt").read_text().splitlines()
    prompts = [line for line in lines if not line.startswith("#")]
    ids = models.tokenize(checkpoint.tokenizer, prompts)
    assert (ids[:, -1] == checkpoint.tokenizer.eos_token_id).all()
    assert len(set(prompts)) == len(prompts) == 64
