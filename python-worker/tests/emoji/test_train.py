import pytest
import torch

from vard_emoji import models
from vard_emoji.train import batch_rows, learning_rate, min_snr_weight, normalize_latents, train, train_diffusion


class Interrupted(Exception):
    pass


def diffusion_weights(discs, recipe, work, on_save=lambda step: None) -> dict[str, torch.Tensor]:
    work.mkdir(exist_ok=True)
    torch.manual_seed(recipe.seed)
    tokenizer = models.train_tokenizer([e.caption for e in discs.emoji])
    text, unet = models.text_encoder(tokenizer), models.unet()
    latents = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    train_diffusion(unet, text, tokenizer, latents, discs, recipe, work, on_save, save_every=1)
    return unet.state_dict() | text.state_dict()


def test_an_interrupted_training_resumes_to_the_same_bits(discs, recipe, tmp_path):
    def interrupt(step: int) -> None:
        if step == 1:
            raise Interrupted

    whole = diffusion_weights(discs, recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        diffusion_weights(discs, recipe, tmp_path / "halves", interrupt)
    resumed = diffusion_weights(discs, recipe, tmp_path / "halves")
    assert [name for name, value in whole.items() if not torch.equal(value, resumed[name])] == []


def test_the_recipe_hands_over_a_pipeline_at_the_end(discs, recipe, tmp_path):
    steps = []
    train(recipe, discs, tmp_path / "run", lambda pipeline, step: steps.append(step))
    assert steps == [2]
    assert (tmp_path / "run" / "vae.jsonl").exists()


def test_every_picture_is_seen_once_before_any_is_seen_again():
    rows = torch.arange(10, 20)
    seen = torch.cat([batch_rows(rows, 4, 0, "unet", step) for step in range(5)])
    assert seen[:10].sort().values.equal(rows)
    assert seen[10:].sort().values.equal(rows)
    assert not seen[:10].equal(seen[10:])


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    rates = [learning_rate(step, 100, 1.0, 10, 0.4) for step in (0, 9, 59, 80, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.025])


def test_min_snr_weight_lowers_only_the_clean_end():
    # SNR 99, 5 and 1/99 with gamma 5.
    weight = min_snr_weight(torch.tensor([0.99, 5 / 6, 0.01]), 5.0)
    assert weight.tolist() == pytest.approx([5 / 99, 1.0, 1.0], rel=1e-4)


@torch.no_grad()
def test_normalized_latents_have_unit_scale_and_decode_to_the_same_pictures():
    torch.manual_seed(0)
    vae = models.autoencoder().eval()
    x = torch.rand(8, 3, 32, 32) * 2 - 1
    before = vae.encode(x).latent_dist
    decoded = vae.decode(before.mean).sample
    normalize_latents(vae, x)
    after = vae.encode(x).latent_dist
    assert after.mean.mean((0, 2, 3)).abs().max() < 1e-4
    assert (after.mean.std((0, 2, 3)) - 1).abs().max() < 1e-4
    assert torch.allclose(vae.decode(after.mean).sample, decoded, atol=1e-4)
    # The noise around the mean scales with it.
    ratio = (after.mean.std((0, 2, 3)) / before.mean.std((0, 2, 3)))[None, :, None, None]
    assert torch.allclose(after.std, before.std * ratio, rtol=1e-3)
