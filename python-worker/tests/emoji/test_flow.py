"""emoji-flow's training: one weighed token of zeros is as good as all of an absent T5's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline
from torch import nn

from vard_emoji import export, flow, models


@pytest.fixture(scope="module")
def pipe() -> StableDiffusion3Pipeline:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = flow.pipeline(StableDiffusionPipeline.from_pretrained(flow.BASE))
        nn.init.normal_(made.transformer.proj_out.weight, std=0.1)
    return made


@torch.no_grad()
def test_one_weighed_token_of_zeros_does_what_256_do(pipe: StableDiffusion3Pipeline) -> None:
    captions = ["red apple , food & drink", "cat , animals & nature"]
    tokens, _, pooled, _ = pipe.encode_prompt(captions, None, None, do_classifier_free_guidance=False)
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([300.0, 800.0])
    whole = pipe.transformer(x, tokens, pooled, t, return_dict=False)[0]
    both = nn.ModuleDict({"transformer": pipe.transformer, "text": pipe.text_encoder, "text_2": pipe.text_encoder_2})
    with flow.last_key_counts(flow.ABSENT):
        short, own_pooled = flow.condition(both, models.tokenize(pipe.tokenizer, captions))
        weighed = pipe.transformer(x, short, own_pooled, t, return_dict=False)[0]
    assert tokens.shape[1] == models.TOKENS + flow.ABSENT and short.shape[1] == models.TOKENS + 1
    torch.testing.assert_close(weighed, whole, rtol=1e-4, atol=1e-5)


def test_s_is_logit_normal() -> None:
    s = flow.logit_normal((torch.arange(100_000) + 0.5) / 100_000)
    logits = torch.logit(s.double())
    assert abs(logits.mean().item()) < 1e-3 and logits.std().item() == pytest.approx(1, abs=0.01)


def test_the_saved_pipeline_draws(pipe: StableDiffusion3Pipeline, tmp_path: Path) -> None:
    export.save(pipe, tmp_path / "emoji-flow", ("vae", "transformer"))
    assert not any("_name_or_path" in file.read_text() for file in (tmp_path / "emoji-flow").glob("*/config.json"))
    saved = StableDiffusion3Pipeline.from_pretrained(tmp_path / "emoji-flow", text_encoder_3=None, tokenizer_3=None)
    assert len(export.sample(saved, ["cat , animals & nature"], steps=2)) == 1
    assert sum(file.stat().st_size for file in (tmp_path / "emoji-flow").rglob("*") if file.is_file()) < 12_000_000
