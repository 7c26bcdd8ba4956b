import json

import pytest
import torch
from diffusers import StableDiffusionPipeline

from vard_emoji import export, models


@pytest.fixture
def untrained() -> StableDiffusionPipeline:
    torch.manual_seed(0)
    tokenizer = models.train_tokenizer(["slice of pizza , food & drink", "rocket , travel & places"])
    text = models.text_encoder(tokenizer).eval()
    return models.pipeline(models.autoencoder().eval(), text, tokenizer, models.unet().eval())


def test_the_saved_folder_draws_what_the_pipeline_draws(untrained, tmp_path):
    export.save(untrained, tmp_path / "emoji-sd")
    loaded = StableDiffusionPipeline.from_pretrained(tmp_path / "emoji-sd", local_files_only=True)
    assert {p.dtype for m in (loaded.unet, loaded.vae, loaded.text_encoder) for p in m.parameters()} == {torch.float32}
    prompt = ["Slice of pizza , food & drink"]
    assert loaded.tokenizer(prompt).input_ids == untrained.tokenizer(prompt).input_ids
    before, after = (export.sample(p, prompt, steps=2)[0] for p in (untrained, loaded))
    assert before.size == (32, 32)
    difference = torch.tensor(list(before.tobytes())).sub(torch.tensor(list(after.tobytes()))).abs()
    assert difference.max() <= 4  # fp16 weights


def test_the_saved_folder_is_small_and_has_no_safety_checker(untrained, tmp_path):
    export.save(untrained, tmp_path / "emoji-sd")
    assert sum(f.stat().st_size for f in (tmp_path / "emoji-sd").rglob("*") if f.is_file()) < 20e6
    index = json.loads((tmp_path / "emoji-sd" / "model_index.json").read_text())
    assert index["safety_checker"] == index["feature_extractor"] == [None, None]
    assert index["requires_safety_checker"] is False


def test_saving_again_keeps_the_model_card(untrained, tmp_path):
    export.save(untrained, tmp_path / "emoji-sd")
    (tmp_path / "emoji-sd" / "README.md").write_text("card")
    export.save(untrained, tmp_path / "emoji-sd")
    assert (tmp_path / "emoji-sd" / "README.md").read_text() == "card"
    assert [p.name for p in tmp_path.iterdir()] == ["emoji-sd"]


def test_tokens_are_padded_with_the_end_token_to_sixteen(untrained):
    ids = models.tokenize(untrained.tokenizer, ["", "rocket " * 30])
    end = untrained.tokenizer.eos_token_id
    assert ids.shape == (2, 16)
    assert ids[0].tolist() == [untrained.tokenizer.bos_token_id] + [end] * 15
    assert ids[1, -1] == end
    assert end not in ids[1, :-1]


def test_the_tokenizer_breaks_ties_the_same_way_in_every_process():
    # "xy" and "zw" are as frequent as each other: the later one in the alphabet is merged first.
    tokenizer = models.train_tokenizer(["xy zw"])
    assert tokenizer.convert_ids_to_tokens([514, 515]) == ["zw</w>", "xy</w>"]
    assert len(tokenizer) == 516
