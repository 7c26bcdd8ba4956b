import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import onnx
from vard_emoji import classifier, models
from vard_emoji.classifier import CATEGORIES, Classifier, Pictures, Recipe
from vard_emoji.data import Dataset, Emoji, is_held_out
from vard_emoji.train import generator

SHIPPED = Path(__file__).resolve().parents[3] / "checkpoints" / "emoji-category"


@pytest.fixture
def pictures(discs) -> Pictures:
    return Pictures(discs.images, torch.arange(8) % len(CATEGORIES))


@pytest.fixture
def model(pictures) -> Classifier:
    return classifier.train(pictures, Recipe(steps=3, batch=4, warmup=1))


def test_a_category_is_what_stands_after_the_last_comma():
    assert CATEGORIES[classifier.label("slice of pizza , food & drink")] == "food & drink"


def test_the_split_is_by_emoji_and_holds_out_what_the_diffusion_model_has_not_seen():
    captions = [f"emoji {i} , symbols" for i in range(400)]
    emoji = [Emoji(f"{i}.png", c, True, False) for i, c in enumerate(captions) for _ in range(4)]
    dataset = Dataset(emoji, torch.arange(len(emoji))[:, None, None, None].expand(-1, 3, 32, 32))
    sides = [set((classifier.split(dataset, unseen=unseen).images[:, 0, 0, 0] // 4).tolist()) for unseen in (False, True)]
    assert sides[0] | sides[1] == set(range(400)) and not sides[0] & sides[1]
    assert 30 < len(sides[1]) < 70
    assert all(classifier.is_unseen(c) for c in captions if is_held_out(c))


def test_augmented_pictures_differ_but_white_stays_white_and_the_seed_decides():
    x = torch.rand(6, 3, 32, 32, generator=generator(0, "test", 0))
    once, again, other = (classifier.augment(x, generator(0, "test", step)) for step in (1, 1, 2))
    assert once.equal(again) and not once.equal(other)
    assert once.min() >= 0 and once.max() <= 1
    white = classifier.augment(torch.ones(6, 3, 32, 32), generator(0, "test", 1))
    assert white.mean() > 0.97  # noise alone


def test_training_gives_the_same_bits_again(pictures, model):
    again = classifier.train(pictures, Recipe(steps=3, batch=4, warmup=1))
    assert all(a.equal(b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_it_learns_discs_of_eight_colours(pictures):
    model = classifier.train(pictures, Recipe(steps=60, batch=8, warmup=5, ema=0.8, smoothing=0.0))
    with torch.no_grad():
        loss = F.cross_entropy(model(pictures.images.float() / 255), pictures.labels)
    assert loss < 1.0 < torch.tensor(9.0).log()


def test_the_exported_model_says_what_the_trained_one_says_for_any_number_of_pictures(pictures, model, tmp_path):
    classifier.export(model, tmp_path / "model.onnx")
    with torch.no_grad():
        expected = model(pictures.images.float() / 255)
    for n in (1, 8):
        assert torch.allclose(classifier.logits(tmp_path / "model.onnx", pictures.images[:n]), expected[:n], atol=1e-5)


def test_the_exported_file_is_the_same_again_and_tells_nothing_of_the_machine(model, tmp_path):
    for name in ("one.onnx", "two.onnx"):
        classifier.export(model, tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    assert b".py" not in (tmp_path / "one.onnx").read_bytes()


def test_a_round_trip_keeps_labels_and_shape(pictures):
    torch.manual_seed(0)
    back = classifier.round_trip(models.autoencoder().eval(), pictures, 0.3, 0)
    assert back.images.shape == pictures.images.shape and back.images.dtype == torch.uint8
    assert back.labels.equal(pictures.labels)


def test_a_sheet_keeps_every_pixel_and_label(pictures, tmp_path):
    many = Pictures(pictures.images.repeat(5, 1, 1, 1), pictures.labels.repeat(5))
    classifier.save_sheet(many, tmp_path / "sheet.png")
    back = classifier.load_sheet(tmp_path / "sheet.png")
    assert back.images.equal(many.images) and back.labels.equal(many.labels)


def test_the_shipped_model_is_as_accurate_as_its_card_says():
    unseen = classifier.load_sheet(SHIPPED / "held-out.png")
    said = classifier.logits(SHIPPED / "model.onnx", unseen.images)
    counts = classifier.confusion(said, unseen.labels)
    accuracy = counts.diag().sum().item() / len(unseen.labels)
    card = (SHIPPED / "README.md").read_text()
    assert float(re.search(r"\*\*([\d.]+) %\*\*", card)[1]) == pytest.approx(100 * accuracy, abs=0.05)
    assert classifier.confusion_table(counts) in card
    stated = json.loads((SHIPPED / "accuracy.json").read_text())
    assert stated["accuracy"] == pytest.approx(accuracy) and stated["pictures"] == len(unseen.labels)
    assert stated["cross_entropy"] == pytest.approx(F.cross_entropy(said, unseen.labels).item(), abs=1e-4)


def test_the_shipped_model_names_its_classes():
    metadata = {p.key: p.value for p in onnx.load(SHIPPED / "model.onnx").metadata_props}
    assert metadata == {"classes": ",".join(CATEGORIES)}


def test_the_shipped_model_is_small():
    assert (SHIPPED / "model.onnx").stat().st_size < 1e6
