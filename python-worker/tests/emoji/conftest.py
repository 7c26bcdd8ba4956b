"""A dataset of eight coloured discs, so that no test needs the network."""

import pytest
import torch
from PIL import Image, ImageDraw

from vard_emoji.data import Dataset, Emoji, composite
from vard_emoji.train import Recipe

COLOURS = ["red", "green", "blue", "yellow", "orange", "purple", "black", "brown"]


@pytest.fixture(autouse=True)
def one_thread_an_operation():
    """As the command line sets it: sums over other numbers of threads differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def discs(tmp_path) -> Dataset:
    images = []
    for colour in COLOURS:
        picture = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(picture).ellipse((8, 8, 56, 56), fill=colour)
        picture.save(tmp_path / "disc.png")
        images.append(torch.tensor(composite((tmp_path / "disc.png").read_bytes())))
    emoji = [Emoji(f"{c}.png", f"{c} disc , symbols", True, c == "brown") for c in COLOURS]
    return Dataset(emoji, torch.stack(images))


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(vae_steps=2, vae_batch=4, unet_steps=2, unet_batch=4, warmup=1)
