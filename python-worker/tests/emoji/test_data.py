import io

import numpy as np
import pytest
import torch
from PIL import Image

from vard_emoji.data import ARCHIVE, caption, composite, fetch, is_captioned, is_held_out, list_emoji

ENTRY = {"name": "WAVING HAND SIGN", "category": "People & Body", "subcategory": "hand-fingers-open", "image": "a.png"}


def png(colour: tuple[int, int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_caption_is_name_and_category_in_lower_case():
    assert caption("SLICE OF  PIZZA", "Food & Drink") == "slice of pizza , food & drink"


@pytest.mark.parametrize(
    ("name", "subcategory", "kept"),
    [
        ("Japan Flag", "country-flag", True),
        ("Türkiye Flag", "country-flag", True),
        ("Åland Islands Flag", "country-flag", False),
        ("PIRATE FLAG", "flag", True),
        ("MAN", "person", True),
        ("MAN: BLOND HAIR", "person", False),
        ("WOMAN TEACHER", "person-role", False),
        ("MANGO", "food-fruit", True),
        ("FAMILY", "family", True),
        ("FAMILY: MAN, BOY", "family", False),
        ("CLOCK FACE ONE-THIRTY", "time", False),
        ("SQUARED OK", "alphanum", False),
        ("EMOJI MODIFIER FITZPATRICK TYPE-3", "skin-tone", False),
    ],
)
def test_near_duplicates_have_no_captions(name, subcategory, kept):
    assert is_captioned(name, subcategory) is kept


def test_transparent_pixels_become_white_and_opaque_ones_stay():
    assert (composite(png((255, 0, 0, 0))) == 255).all()
    red = composite(png((255, 0, 0, 255)))
    assert red.shape == (3, 32, 32)
    assert red.dtype == np.uint8
    assert red[:, 5, 5].tolist() == [255, 0, 0]


def test_split_is_the_same_on_every_machine():
    names = [f"emoji {i} , symbols" for i in range(100)]
    assert [name for name in names if is_held_out(name)] == [
        "emoji 60 , symbols",
        "emoji 61 , symbols",
    ]


def test_skin_tones_are_split_with_their_base_picture_and_have_no_caption():
    tones = {str(i): {"image": f"{i}.png", "has_img_google": True} for i in range(5)}
    emoji = list_emoji([ENTRY | {"skin_variations": tones}])
    assert [e.captioned for e in emoji] == [True] + [False] * 5
    assert len({e.held_out for e in emoji}) == 1


def test_a_caption_is_used_once():
    assert [e.captioned for e in list_emoji([ENTRY, ENTRY | {"image": "b.png"}])] == [True, False]


def test_rows_keep_held_out_pictures_apart(discs):
    train = discs.rows(held_out=False, captioned_only=True)
    unseen = discs.rows(held_out=True, captioned_only=True)
    assert unseen.tolist() == [7]
    assert torch.cat([train, unseen]).tolist() == list(range(8))


def test_a_package_with_another_hash_is_refused(tmp_path):
    (tmp_path / ARCHIVE).write_bytes(b"not the package")
    with pytest.raises(ValueError, match="delete the file and run again"):
        fetch(tmp_path)
