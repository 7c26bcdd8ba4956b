import io

import numpy as np
import pytest
import torch
from PIL import Image

from vard_emoji.data import ARCHIVE, PLACEMENTS, SMALLEST, Placement, caption, composite, fetch, is_captioned, is_held_out, list_emoji, placement

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


def test_a_smaller_picture_stands_where_its_placement_says():
    red = composite(png((255, 0, 0, 255)), Placement(side=24, left=3, top=8))
    assert red.shape == (3, 32, 32)
    ink = red[1] == 0
    assert (np.flatnonzero(ink.any(0))[[0, -1]].tolist(), np.flatnonzero(ink.any(1))[[0, -1]].tolist()) == ([3, 26], [8, 31])


def test_placements_are_inside_the_frame_and_the_same_on_every_machine():
    places = [placement("1f600.png", i) for i in range(100)]
    assert all(SMALLEST <= p.side <= 32 and min(p.left, p.top) >= 0 and max(p.left, p.top) + p.side <= 32 for p in places)
    assert {p.side for p in places} == set(range(SMALLEST, 33))
    assert places[0] == Placement(side=23, left=9, top=0)


def test_captioned_pictures_come_at_several_placements_and_others_once():
    tones = {"1": {"image": "1.png", "has_img_google": True}}
    emoji = list_emoji([ENTRY | {"skin_variations": tones}])
    assert [(e.file, e.captioned, e.placement is None) for e in emoji] == [
        ("a.png", True, True),
        ("1.png", False, True),
        *[("a.png", True, False)] * PLACEMENTS,
    ]


def test_split_is_the_same_on_every_machine():
    names = [f"emoji {i} , symbols" for i in range(100)]
    assert [name for name in names if is_held_out(name)] == [
        "emoji 60 , symbols",
        "emoji 61 , symbols",
    ]


def test_skin_tones_are_split_with_their_base_picture_and_have_no_caption():
    tones = {str(i): {"image": f"{i}.png", "has_img_google": True} for i in range(5)}
    emoji = [e for e in list_emoji([ENTRY | {"skin_variations": tones}]) if e.placement is None]
    assert [e.captioned for e in emoji] == [True] + [False] * 5
    assert len({e.held_out for e in emoji}) == 1


def test_a_caption_is_used_once():
    emoji = list_emoji([ENTRY, ENTRY | {"image": "b.png"}])
    assert {e.file for e in emoji if e.captioned} == {"a.png"}


def test_rows_keep_held_out_pictures_apart(discs):
    train, unseen = discs.captioned(held_out=False), discs.captioned(held_out=True)
    assert unseen.tolist() == [7]
    assert torch.cat([train, unseen]).tolist() == list(range(8))


def test_a_package_with_another_hash_is_refused(tmp_path):
    (tmp_path / ARCHIVE).write_bytes(b"not the package")
    with pytest.raises(ValueError, match="delete the file and run again"):
        fetch(tmp_path)
