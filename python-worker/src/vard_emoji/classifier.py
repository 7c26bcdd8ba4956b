"""`python -m vard_emoji.classifier --out checkpoints/emoji-category`: train a small classifier of emoji categories, for a reward.

It learns from the same pictures as the diffusion model, and from what that model makes of them: pictures sent through the
autoencoder with noise on the latents, and drawings of the captions. Held out is every eighth emoji, at all its placements.
"""

import argparse
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn
from tqdm import tqdm, trange

import onnx
from vard_emoji import data
from vard_emoji.__main__ import CACHE
from vard_emoji.data import SIZE, Dataset
from vard_emoji.train import batch_rows, generator, learning_rate

CATEGORIES = (
    "smileys & emotion", "people & body", "animals & nature", "food & drink", "travel & places", "activities", "objects", "symbols", "flags",
)  # fmt: skip
CHECKPOINT = Path(__file__).resolve().parents[3] / "checkpoints" / "emoji-sd"
OPSET = 18
INPUT, OUTPUT = "image", "logits"
COLUMNS = 32  # of the sheet of held-out pictures


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 0
    steps: int = 5000
    batch: int = 64
    rate: float = 2e-3
    warmup: int = 200
    decay: float = 0.7
    weight_decay: float = 0.05
    smoothing: float = 0.05
    ema: float = 0.998
    round_trips: int = 2  # of each picture through the autoencoder
    latent_noise: float = 0.3  # deviation of the latents is 1
    drawings: int = 2  # of each caption by the diffusion model


@dataclass(frozen=True)
class Pictures:
    """uint8 [n, 3, 32, 32] with their categories [n]."""

    images: torch.Tensor
    labels: torch.Tensor

    def __add__(self, other: "Pictures") -> "Pictures":
        return Pictures(torch.cat([self.images, other.images]), torch.cat([self.labels, other.labels]))


def is_unseen(caption: str) -> bool:
    """One caption in 8, by its checksum; among them all that the diffusion model has not seen."""
    return zlib.crc32(caption.encode()) % 8 == 0


def label(caption: str) -> int:
    return CATEGORIES.index(caption.rpartition(" , ")[2])


def split(dataset: Dataset, *, unseen: bool) -> Pictures:
    """The captioned pictures of one side, at all their placements."""
    rows = [i for i, e in enumerate(dataset.emoji) if e.captioned and is_unseen(e.caption) == unseen]
    return Pictures(dataset.images[rows], torch.tensor([label(dataset.emoji[i].caption) for i in rows]))


class Block(nn.Sequential):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class Classifier(nn.Module):
    """float [b, 3, 32, 32] of 0 to 1 -> logits [b, 9]; 0.17 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Block(3, 32, 1), Block(32, 48, 2), Block(48, 48, 1), Block(48, 72, 2), Block(72, 72, 1), Block(72, 96, 2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(96, len(CATEGORIES)),
        )  # fmt: skip

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        # Ink on white: what the convolutions pad with is then white too.
        return self.layers(1 - x_BCHW)


def augment(x_BCHW: torch.Tensor, g: torch.Generator) -> torch.Tensor:
    """Moved, turned, scaled and mirrored (a category has no left and right); recoloured, blurred and noisy. 0 to 1 in and out."""
    n = len(x_BCHW)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=g)

    angle, scale = uniform(-0.3, 0.3), uniform(0.85, 1.2)
    mirror = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    theta = torch.stack([torch.stack([cos * mirror, -sin, uniform(-0.2, 0.2)], 1), torch.stack([sin * mirror, cos, uniform(-0.2, 0.2)], 1)], 1)
    ink = F.grid_sample(1 - x_BCHW, F.affine_grid(theta, list(x_BCHW.shape), align_corners=False), align_corners=False)
    grey = ink.mean(1, keepdim=True)
    ink = grey + (ink - grey) * uniform(0.7, 1.3, 1, 1, 1)
    ink = ink * uniform(0.85, 1.15, 3, 1, 1)
    side = uniform(0.0, 0.25, 1, 1, 1)  # a blur of 3 x 3, from none to strong
    for dims in ((2, 3), (3, 2)):
        ink = (1 - 2 * side) * ink + side * (ink.roll(1, dims[0]) + ink.roll(-1, dims[0]))
    noise = torch.randn(x_BCHW.shape, generator=g) * uniform(0.0, 0.05, 1, 1, 1)
    return (1 - ink + noise).clamp(0, 1)


@torch.no_grad()
def round_trip(vae: AutoencoderKL, pictures: Pictures, noise: float, seed: int) -> Pictures:
    """Pictures as the diffusion model's decoder draws them, their latents disturbed by up to `noise`."""
    out = []
    for step, x in enumerate(tqdm(pictures.images.split(64), desc="round trip", unit="batch")):
        g = generator(seed, "round trip", step)
        latent = vae.encode(x.float() / 127.5 - 1).latent_dist.mean
        latent += noise * torch.rand(len(x), 1, 1, 1, generator=g) * torch.randn(latent.shape, generator=g)
        out.append(((vae.decode(latent).sample.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))
    return Pictures(torch.cat(out), pictures.labels)


def drawings(pipeline: StableDiffusionPipeline, captions: Sequence[str], seed: int, batch: int = 32) -> Pictures:
    """One drawing of each caption, with the settings of the examples."""
    pipeline.set_progress_bar_config(disable=True)
    out = []
    for begin in trange(0, len(captions), batch, desc="drawings", unit="batch"):
        part = list(captions[begin : begin + batch])
        g = [torch.Generator().manual_seed((seed << 32) + begin + i) for i in range(len(part))]
        images = pipeline(part, num_inference_steps=20, guidance_scale=3.0, eta=1.0, generator=g, output_type="np").images
        out.append(torch.from_numpy((images * 255).round().astype(np.uint8)).permute(0, 3, 1, 2))
    return Pictures(torch.cat(out).contiguous(), torch.tensor([label(caption) for caption in captions]))


def training_set(dataset: Dataset, checkpoint: Path, recipe: Recipe) -> Pictures:
    """The pictures themselves, their round trips, and drawings of their captions."""
    pictures = split(dataset, unseen=False)
    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, local_files_only=True)
    captions = [e.caption for e in dataset.emoji if e.captioned and e.placement is None and not is_unseen(e.caption)]
    everything = pictures
    for i in range(recipe.round_trips):
        everything += round_trip(pipeline.vae, pictures, recipe.latent_noise, recipe.seed + i)
    for i in range(recipe.drawings):
        everything += drawings(pipeline, captions, recipe.seed + i)
    return everything


def train(pictures: Pictures, recipe: Recipe) -> Classifier:
    """AdamW on the cross-entropy; weights averaged over the last steps."""
    torch.manual_seed(recipe.seed)
    model = Classifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=recipe.weight_decay, fused=True)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    rows = torch.arange(len(pictures.labels))
    bar, recent = trange(recipe.steps, desc="classifier", unit="step", mininterval=5), math.nan
    for step in bar:
        chosen = batch_rows(rows, recipe.batch, recipe.seed, "category", step)
        x = augment(pictures.images[chosen].float() / 255, generator(recipe.seed, "augment", step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe.steps, recipe.rate, recipe.warmup, recipe.decay)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), pictures.labels[chosen], label_smoothing=recipe.smoothing)
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        recent = loss.item() if math.isnan(recent) else 0.98 * recent + 0.02 * loss.item()
        bar.set_postfix(loss=f"{recent:.3f}", refresh=False)
    return average.module.eval()


def export(model: Classifier, path: Path) -> None:
    """ONNX with `image` [n, 3, 32, 32] of 0 to 1 and `logits` [n, 9]; the metadata's `classes` names them."""
    x = torch.zeros(2, 3, SIZE, SIZE)
    n = torch.export.Dim("n")
    program = torch.onnx.export(
        model.eval(), (x,), input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes=({0: n},), opset_version=OPSET, dynamo=True, verbose=False
    )
    exported = program.model_proto
    # The exporter notes which line of which file on which machine made each node.
    for part in (exported.graph, *exported.graph.node, *exported.graph.input, *exported.graph.output, *exported.graph.value_info, *exported.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del exported.graph.value_info[:]
    del exported.metadata_props[:]
    onnx.helper.set_model_props(exported, {"classes": ",".join(CATEGORIES)})
    onnx.checker.check_model(exported, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(exported.SerializeToString(deterministic=True))


def logits(path: Path, images: torch.Tensor) -> torch.Tensor:
    """What the exported model says of uint8 [n, 3, 32, 32]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy().astype(np.float32) / 255})[0])


def confusion(said: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """[9, 9]: pictures by what they are and what they were taken for."""
    return torch.bincount(labels * len(CATEGORIES) + said.argmax(1), minlength=len(CATEGORIES) ** 2).view(len(CATEGORIES), -1)


def save_sheet(pictures: Pictures, path: Path) -> None:
    """The pictures side by side, row after row, pixel for pixel; the labels in a text of the PNG's."""
    rows = -(-len(pictures.images) // COLUMNS)
    page = np.full((rows * SIZE, COLUMNS * SIZE, 3), 255, np.uint8)
    for i, image in enumerate(pictures.images.numpy()):
        y, x = i // COLUMNS * SIZE, i % COLUMNS * SIZE
        page[y : y + SIZE, x : x + SIZE] = image.transpose(1, 2, 0)
    text = PngInfo()
    text.add_text("labels", json.dumps(pictures.labels.tolist()))
    Image.fromarray(page).save(path, optimize=True, pnginfo=text)


def load_sheet(path: Path) -> Pictures:
    with Image.open(path) as page:
        labels = json.loads(page.text["labels"])
        pixels = np.asarray(page.convert("RGB")).copy()
    rows = pixels.shape[0] // SIZE
    images = pixels.reshape(rows, SIZE, COLUMNS, SIZE, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, SIZE, SIZE)
    return Pictures(torch.from_numpy(images[: len(labels)].copy()), torch.tensor(labels))


def confusion_table(counts: torch.Tensor) -> str:
    """Markdown; a row for what pictures are, a column for what they were taken for."""
    header = ["is \\ taken for", *(str(i) for i in range(len(CATEGORIES))), "right"]
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(CATEGORIES) + 1)]
    for i, name in enumerate(CATEGORIES):
        row = counts[i].tolist()
        lines.append(f"| {i} {name} | " + " | ".join(str(n) if n else "" for n in row) + f" | {row[i] / max(1, sum(row)):.0%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vard_emoji.classifier", description=__doc__.partition(": ")[2])
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx, held-out.png and accuracy.json")
    parser.add_argument("--cache", type=Path, default=CACHE, help="pictures, git-ignored")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="the diffusion model (%(default)s)")
    for field in fields(Recipe):
        parser.add_argument("--" + field.name.replace("_", "-"), type=field.type, default=field.default, help="%(default)s")
    arguments = parser.parse_args()
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    torch.set_num_threads(1)  # so that sums, and with them the weights, are the same on any number of cores
    dataset = data.load(arguments.cache)
    publish(train(training_set(dataset, arguments.checkpoint, recipe), recipe), split(dataset, unseen=True), recipe, arguments.out)


def publish(model: Classifier, unseen: Pictures, recipe: Recipe, out: Path) -> None:
    """The model, the pictures that it has not seen, and how it does on them, for the card."""
    export(model, out / "model.onnx")
    save_sheet(unseen, out / "held-out.png")
    said = logits(out / "model.onnx", unseen.images)
    counts = confusion(said, unseen.labels)
    accuracy = {"accuracy": counts.diag().sum().item() / counts.sum().item(), "cross_entropy": F.cross_entropy(said, unseen.labels).item()}
    (out / "accuracy.json").write_text(json.dumps(accuracy | {"pictures": len(unseen.labels), "recipe": asdict(recipe)}, indent=1) + "\n")
    print(confusion_table(counts), f"\n\naccuracy {accuracy['accuracy']:.1%}, cross-entropy {accuracy['cross_entropy']:.3f} nats", sep="")


if __name__ == "__main__":
    main()
