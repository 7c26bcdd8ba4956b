"""Noto emoji as 32x32 pictures with captions, from one pinned npm package."""

import base64
import hashlib
import io
import json
import random
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

PACKAGE = "emoji-datasource-google@16.0.0"
PACKAGE_SHA512 = "ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A=="
ARCHIVE = "emoji-datasource-google-16.0.0.tgz"
SIZE = 32

# All 259 would be a sixth of the captions; these 50 leave room for the rest.
FLAGS = frozenset(["argentina", "australia", "austria", "bangladesh", "belgium", "brazil", "canada", "chile", "china", "colombia", "cuba", "denmark", "egypt", "ethiopia", "finland", "france", "germany", "ghana", "greece", "iceland", "india", "indonesia", "ireland", "israel", "italy", "jamaica", "japan", "kenya", "mexico", "morocco", "nepal", "netherlands", "nigeria", "norway", "pakistan", "peru", "poland", "portugal", "romania", "rwanda", "spain", "sweden", "switzerland", "thailand", "türkiye", "ukraine", "united_kingdom", "united_states", "vietnam", "zambia"])  # fmt: skip
# Pictures that differ from another one only in gender, direction, the members of a family or half an hour,
# and letters in squares, whose names say nothing that can be drawn.
NEAR_DUPLICATE = re.compile(r"^(wo)?m[ae]n\b.|facing right$|^(family|kiss|couple with heart):|-thirty$|ideograph|^squared |^negative squared")


# A captioned picture comes four times: as it is, and smaller at three places. One picture a caption is learnt by
# heart within 2,000 steps; all samples of a prompt are then the same, and no reward can choose between them.
PLACEMENTS = 3
SMALLEST = 22


@dataclass(frozen=True)
class Placement:
    """Where the picture stands in the frame, in pixels: the side of its square, and the square's upper left corner."""

    side: int = SIZE
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Emoji:
    """One picture: its file in the package, its caption, and whether the diffusion model may see the caption.

    `placement` is None for the picture itself, which fills the frame.
    """

    file: str
    caption: str
    captioned: bool
    held_out: bool
    placement: Placement | None = None


@dataclass(frozen=True)
class Dataset:
    """`images` are uint8 [n, 3, 32, 32]; row i belongs to `emoji[i]`."""

    emoji: list[Emoji]
    images: torch.Tensor

    def captioned(self, *, held_out: bool) -> torch.Tensor:
        """Row numbers of one side of the split: what the diffusion model sees, at every placement."""
        return torch.tensor([e.held_out == held_out and e.captioned for e in self.emoji]).nonzero().flatten()

    def whole(self, *, held_out: bool) -> torch.Tensor:
        """Row numbers of one side of the split: what the autoencoder sees, every picture once, skin tones too."""
        return torch.tensor([e.held_out == held_out and e.placement is None for e in self.emoji]).nonzero().flatten()


def caption(name: str, category: str) -> str:
    """`PIZZA SLICE`, `Food & Drink` -> `pizza slice , food & drink`."""
    return f"{' '.join(name.split())} , {category}".lower()


def is_captioned(name: str, subcategory: str) -> bool:
    """Whether a picture without skin tone is in the captioned set; the autoencoder sees all of them."""
    name = name.lower()
    if subcategory == "skin-tone":
        return False
    if subcategory == "country-flag":
        return name.removesuffix(" flag").replace(" ", "_") in FLAGS
    return NEAR_DUPLICATE.search(name) is None


def is_held_out(text: str) -> bool:
    """One caption in 32, by its checksum: the same ones on every machine, whatever the order of the list."""
    return zlib.crc32(text.encode()) % 32 == 0


def list_emoji(entries: Iterable[dict]) -> list[Emoji]:
    """emoji.json as a flat list; a skin tone has its base picture's caption, to be split with it."""
    emoji, seen = [], set()
    for entry in entries:
        text = caption(entry["name"], entry["category"])
        captioned = is_captioned(entry["name"], entry["subcategory"]) and text not in seen
        seen.add(text)
        emoji.append(Emoji(entry["image"], text, captioned, is_held_out(text)))
        tones = [tone["image"] for tone in entry.get("skin_variations", {}).values() if tone["has_img_google"]]
        emoji.extend(Emoji(image, text, False, is_held_out(text)) for image in tones)
    return emoji + [replace(e, placement=placement(e.file, i)) for e in emoji if e.captioned for i in range(PLACEMENTS)]


def placement(file: str, index: int) -> Placement:
    """A side from SMALLEST to SIZE and a place for it, drawn by the checksum of the file's name."""
    draw = random.Random(zlib.crc32(f"{file} {index}".encode()))
    side = draw.randint(SMALLEST, SIZE)
    return Placement(side, draw.randint(0, SIZE - side), draw.randint(0, SIZE - side))


def composite(png: bytes, place: Placement = Placement()) -> np.ndarray:
    """A PNG with transparency as uint8 [3, SIZE, SIZE] on white."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    rgb = Image.alpha_composite(white, picture).convert("RGB").resize((place.side, place.side), Image.Resampling.LANCZOS)
    frame = Image.new("RGB", (SIZE, SIZE), "white")
    frame.paste(rgb, (place.left, place.top))
    return np.asarray(frame).transpose(2, 0, 1)


def fetch(cache: Path) -> Path:
    """The package's archive in `cache`, got with npm where it is missing, its hash compared in any case."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    archive = cache / ARCHIVE
    if not archive.exists():
        subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=cache, check=True)
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != PACKAGE_SHA512:
        raise ValueError(f"{archive}: sha512 is {found}, not {PACKAGE_SHA512}; delete the file and run again")
    return archive


def load(cache: Path) -> Dataset:
    """All pictures; the composited ones are kept in `cache`, since reading 3,800 PNGs takes half a minute."""
    with tarfile.open(fetch(cache)) as archive:
        entries = json.load(archive.extractfile("package/emoji.json"))
        emoji = list_emoji(entries)
        pixels = cache / f"images-{SIZE}-{PLACEMENTS}.npy"
        if not pixels.exists():
            by_file = dict(_pictures(archive))
            np.save(pixels, np.stack([composite(by_file[e.file], e.placement or Placement()) for e in emoji]))
    return Dataset(emoji, torch.from_numpy(np.load(pixels)))


def _pictures(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    prefix = "package/img/google/64/"
    for member in tqdm(archive, desc="pictures", unit="file"):
        if member.name.startswith(prefix):
            yield member.name.removeprefix(prefix), archive.extractfile(member).read()
