"""The shipped rewards on tiny random-weight models of their formats, against their formulas by hand."""

from __future__ import annotations

import gc
import json
import math
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear
from transformers import BertTokenizer, CLIPConfig, CLIPImageProcessorPil, CLIPModel

from vard_rewards.aesthetic import LaionAesthetic
from vard_rewards.clip import ClipScore
from vard_rewards.hps import Hpsv2
from vard_rewards.image_reward import ImageReward
from vard_rewards.models import LinearHead, ModelReward
from vard_rewards.pickscore import PickScore
from vard_worker.testing import TOKENS, character_tokenizer

SIDE = 32
CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PROMPTS = ["a cat", "", "a red house, by the sea, with very many letters in its name", "dog"]


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (48, 48, 3), np.uint8)) for _ in PROMPTS]


def pixels(images: list[Image.Image]) -> Tensor:
    """Square images, as CLIP's models are given them: (B, 3, SIDE, SIDE)."""
    scaled = np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for image in images]) / 255
    return torch.tensor((scaled - CLIP_MEAN) / CLIP_DEVIATION, dtype=torch.float32).permute(0, 3, 1, 2)


def randomise(model: torch.nn.Module) -> None:
    """Weights so large that different images and prompts give different scores."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) / math.sqrt(weight[0].numel()))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP checkpoint as on the hub."""
    tokenizer = character_tokenizer()
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = CLIPModel(
        CLIPConfig(
            text_config={**tower, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": TOKENS},
            vision_config={**tower, "image_size": SIDE, "patch_size": 8, "projection_dim": 24},
            projection_dim=24,
        )
    )
    randomise(model)
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The aesthetic predictor's file, as published: a pickle of tensors alone."""
    file = tmp_path_factory.mktemp("aesthetic") / "linear.pth"
    model = LinearHead(24)
    randomise(model)
    torch.save(model.state_dict(), file)
    return file


@pytest.fixture(scope="session")
def hps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HPS v2's file, as published, for an architecture of open_clip's that is tiny."""
    folder = tmp_path_factory.mktemp("hps")
    tower = {"width": 32, "layers": 2}
    config = {
        "embed_dim": 24,
        "vision_cfg": {**tower, "image_size": SIDE, "head_width": 16, "patch_size": 8},
        "text_cfg": {**tower, "context_length": TOKENS, "vocab_size": 49408, "heads": 2},
    }
    (folder / "tiny-hps.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "tiny-hps.json")
    model = open_clip.create_model("tiny-hps", load_weights=False)
    randomise(model)
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, folder / "tiny.pt")
    return folder / "tiny.pt"


BERT = 128
VIT = 64
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "red", "house", "by", "the", "sea", ",", "with", "very", "many"]


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


def blip_weights() -> dict[str, Tensor]:
    """Random, by the names of BLIP's own code, in which ImageReward is published."""
    shapes: dict[str, tuple[int, ...]] = {}

    def dense(name: str, inputs: int, outputs: int) -> None:
        shapes[name + ".weight"], shapes[name + ".bias"] = (outputs, inputs), (outputs,)

    def norm(name: str, width: int) -> None:
        shapes[name + ".weight"] = shapes[name + ".bias"] = (width,)

    vision, text = "blip.visual_encoder.", "blip.text_encoder."
    shapes |= {vision + "cls_token": (1, 1, VIT), vision + "pos_embed": (1, 17, VIT)}
    shapes |= {vision + "patch_embed.proj.weight": (VIT, 3, 8, 8), vision + "patch_embed.proj.bias": (VIT,)}
    for i in range(2):
        block = f"{vision}blocks.{i}."
        norm(block + "norm1", VIT)
        dense(block + "attn.qkv", VIT, 3 * VIT)
        dense(block + "attn.proj", VIT, VIT)
        norm(block + "norm2", VIT)
        dense(block + "mlp.fc1", VIT, 4 * VIT)
        dense(block + "mlp.fc2", 4 * VIT, VIT)
    norm(vision + "norm", VIT)
    shapes |= {text + "embeddings.word_embeddings.weight": (len(WORDS), BERT), text + "embeddings.position_embeddings.weight": (40, BERT)}
    norm(text + "embeddings.LayerNorm", BERT)
    for i in range(2):
        layer = f"{text}encoder.layer.{i}."
        for attention, seen in (("attention", BERT), ("crossattention", VIT)):
            dense(f"{layer}{attention}.self.query", BERT, BERT)
            dense(f"{layer}{attention}.self.key", seen, BERT)
            dense(f"{layer}{attention}.self.value", seen, BERT)
            dense(f"{layer}{attention}.output.dense", BERT, BERT)
            norm(f"{layer}{attention}.output.LayerNorm", BERT)
        dense(layer + "intermediate.dense", BERT, 2 * BERT)
        dense(layer + "output.dense", 2 * BERT, BERT)
        norm(layer + "output.LayerNorm", BERT)
    dense("blip.vision_proj", VIT, 16)
    dense("blip.text_proj", BERT, 16)
    shapes |= {"mlp." + name: value.shape for name, value in LinearHead(BERT).state_dict().items()}
    generator = torch.Generator().manual_seed(3)
    weights = {name: torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:])) for name, shape in shapes.items()}
    return weights | {text + "embeddings.position_ids": torch.arange(40)[None]}


@pytest.fixture(scope="session")
def image_reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image-reward") / "ImageReward.pt"
    torch.save(blip_weights(), file)
    return file


Make = Callable[..., ModelReward]


@pytest.fixture(params=["clip", "pickscore", "aesthetic", "hps", "image-reward"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a reward of each kind."""
    fixture = request.getfixturevalue
    match request.param:
        case "clip":
            return lambda **options: ClipScore(str(fixture("clip")), **options)
        case "pickscore":
            return lambda **options: PickScore(str(fixture("clip")), str(fixture("clip")), **options)
        case "aesthetic":
            return lambda **options: LaionAesthetic(str(fixture("head")), str(fixture("clip")), **options)
        case "hps":
            return lambda **options: Hpsv2(str(fixture("hps")), "tiny-hps", **options)
        case _:
            return lambda **options: ImageReward(str(fixture("image_reward")), str(fixture("bert")), **options)


# ------------------------------------------------------------------------------------------------------- the formulas


def clip_cosines(clip: Path, images: list[Image.Image]) -> Tensor:
    """With each prompt by itself: nothing is padded."""
    model = CLIPModel.from_pretrained(clip)
    tokenizer = character_tokenizer()
    with torch.no_grad():
        seen = model.visual_projection(model.vision_model(pixels(images)).pooler_output)
        read = []
        for prompt in PROMPTS:
            ids = tokenizer(prompt).input_ids
            ids = ids if len(ids) <= TOKENS else [*ids[: TOKENS - 1], tokenizer.eos_token_id]
            read.append(model.text_projection(model.text_model(torch.tensor([ids])).pooler_output)[0])
        read = torch.stack(read)
    return (seen * read).sum(1) / seen.norm(dim=1) / read.norm(dim=1)


def test_clip_score_is_a_hundred_times_the_cosine(clip: Path, images: list[Image.Image]) -> None:
    assert ClipScore(str(clip), device="cpu")(images, PROMPTS) == pytest.approx((100 * clip_cosines(clip, images)).tolist(), abs=1e-3)


def test_pickscore_is_the_cosine_in_the_model_s_own_scale(clip: Path, images: list[Image.Image]) -> None:
    reward = PickScore(str(clip), str(clip), device="cpu")
    scale = math.exp(2.6592)  # CLIPConfig's default
    assert reward(images, PROMPTS) == pytest.approx((scale * clip_cosines(clip, images)).tolist(), abs=1e-3)
    assert reward.range == pytest.approx((-scale, scale))


def test_aesthetic_is_linear_in_the_normalised_embedding(clip: Path, head: Path, images: list[Image.Image]) -> None:
    model, weights = CLIPModel.from_pretrained(clip), torch.load(head, weights_only=True)
    with torch.no_grad():
        x = model.visual_projection(model.vision_model(pixels(images)).pooler_output)
        x /= x.norm(dim=1, keepdim=True)
        for i in (0, 2, 4, 6, 7):
            x = linear(x, weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"])
    reward = LaionAesthetic(str(head), str(clip), device="cpu")
    assert reward(images, PROMPTS) == pytest.approx(x[:, 0].tolist(), abs=1e-5)
    assert reward(images, [""] * 4) == reward(images, PROMPTS)


def test_hps_is_the_cosine(hps: Path, images: list[Image.Image]) -> None:
    model = open_clip.create_model("tiny-hps", load_weights=False).eval()
    model.load_state_dict(torch.load(hps, weights_only=True)["state_dict"])
    with torch.no_grad():
        seen = model.encode_image(pixels(images))
        read = torch.cat([model.encode_text(open_clip.get_tokenizer("tiny-hps")([prompt])) for prompt in PROMPTS])
    seen, read = (x / x.norm(dim=1, keepdim=True) for x in (seen, read))
    assert Hpsv2(str(hps), "tiny-hps", device="cpu")(images, PROMPTS) == pytest.approx((seen @ read.T).diagonal().tolist(), abs=1e-4)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Heads of 64: (N, D), (M, D), (M, D) to (N, D)."""
    q, k, v = (x.unflatten(1, (-1, 64)).transpose(0, 1) for x in (query, key, value))
    return ((q @ k.transpose(1, 2) / 8).softmax(-1) @ v).transpose(0, 1).flatten(1)


def blip_score(weights: dict[str, Tensor], image: Tensor, ids: list[int]) -> float:
    """ImageReward of one image (3, H, W), by the names and layers of BLIP's own code."""

    def dense(x: Tensor, name: str) -> Tensor:
        return linear(x, weights[name + ".weight"], weights[name + ".bias"])

    def norm(x: Tensor, name: str, eps: float) -> Tensor:
        return layer_norm(x, x.shape[-1:], weights[name + ".weight"], weights[name + ".bias"], eps)

    vision, text = "blip.visual_encoder.", "blip.text_encoder."
    patches = conv2d(image[None], weights[vision + "patch_embed.proj.weight"], weights[vision + "patch_embed.proj.bias"], stride=8)[0].flatten(1).T
    x = torch.cat([weights[vision + "cls_token"][0], patches]) + weights[vision + "pos_embed"][0]
    for i in range(2):
        block = f"{vision}blocks.{i}."
        q, k, v = dense(norm(x, block + "norm1", 1e-6), block + "attn.qkv").chunk(3, -1)
        x = x + dense(attend(q, k, v), block + "attn.proj")
        x = x + dense(gelu(dense(norm(x, block + "norm2", 1e-6), block + "mlp.fc1")), block + "mlp.fc2")
    seen = norm(x, vision + "norm", 1e-6)

    x = weights[text + "embeddings.word_embeddings.weight"][ids] + weights[text + "embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x, text + "embeddings.LayerNorm", 1e-12)
    for i in range(2):
        layer = f"{text}encoder.layer.{i}."
        for attention, source in (("attention", None), ("crossattention", seen)):
            own = f"{layer}{attention}."
            other = x if source is None else source
            y = attend(dense(x, own + "self.query"), dense(other, own + "self.key"), dense(other, own + "self.value"))
            x = norm(x + dense(y, own + "output.dense"), own + "output.LayerNorm", 1e-12)
        y = dense(gelu(dense(x, layer + "intermediate.dense")), layer + "output.dense")
        x = norm(x + y, layer + "output.LayerNorm", 1e-12)
    x = x[:1]
    for i in (0, 2, 4, 6, 7):
        x = dense(x, f"mlp.layers.{i}")
    return (x.item() - 0.16717362830052426) / 1.0333394966054072


def test_image_reward_is_what_blip_s_own_code_would_give(image_reward: Path, bert: Path, images: list[Image.Image]) -> None:
    long = "a red cat by the sea , " * 8  # cut at 35 tokens
    words = [["a", "cat"], [], long.split()[:33], ["dog"]]
    ids = [[2, *(WORDS.index(word) for word in line), 3] for line in words]
    by_hand = [blip_score(blip_weights(), image, line) for image, line in zip(pixels(images), ids, strict=True)]
    reward = ImageReward(str(image_reward), str(bert), device="cpu")
    assert reward(images, ["a cat", "", long, "dog"]) == pytest.approx(by_hand, abs=1e-4)


# ------------------------------------------------------------------------------------------------- what all must keep


def test_a_score_does_not_depend_on_its_batch(make: Make, images: list[Image.Image]) -> None:
    together = make(device="cpu")(images, PROMPTS)
    singly = make(device="cpu", batch=1)(images, PROMPTS)
    turned = make(device="cpu", batch=3)(images[::-1], PROMPTS[::-1])[::-1]
    assert len({round(score, 5) for score in together}) == len(images)
    assert singly == pytest.approx(together, rel=1e-5, abs=1e-5)
    assert turned == pytest.approx(together, rel=1e-5, abs=1e-5)


def test_scores_lie_in_the_range_that_is_described(make: Make, images: list[Image.Image]) -> None:
    reward = make(device="cpu")
    least, most = reward.range or (-math.inf, math.inf)
    assert all(least <= score <= most for score in reward(images, PROMPTS))


def test_images_may_be_of_any_size(make: Make) -> None:
    sizes = [(20, 48), (64, 33), (32, 32)]
    assert len(make(device="cpu")([Image.new("RGB", size, "red") for size in sizes], ["a cat"] * 3)) == 3


def test_half_precision_is_near(make: Make, images: list[Image.Image]) -> None:
    exact, near = make(device="cpu")(images, PROMPTS), make(device="cpu", dtype="bfloat16")(images, PROMPTS)
    scale = max(abs(score) for score in exact)
    assert near == pytest.approx(exact, abs=0.1 * scale)
    assert near != exact


@pytest.mark.parametrize(("options", "problem"), [({"dtype": "int8"}, "options.dtype: int8"), ({"batch": 0}, "options.batch: 0"), ({"device": "moon"}, "moon")])
def test_options_that_make_no_sense_are_refused(make: Make, options: dict[str, object], problem: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=problem):
        make(**options)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
def test_close_gives_the_memory_back(make: Make, images: list[Image.Image], device: str) -> None:
    before = torch.cuda.memory_reserved() if device == "cuda" else 0
    reward = make(device=device)
    reward(images, PROMPTS)
    modules = [value for value in vars(reward).values() if isinstance(value, torch.nn.Module)]
    weights = [weakref.ref(weight) for module in modules for weight in module.parameters()]
    assert len(weights) > 10
    assert all(weight().device.type == device for weight in weights)
    del modules

    reward.close()

    gc.collect()
    assert not [weight for weight in weights if weight() is not None]
    if device == "cuda":
        assert torch.cuda.memory_reserved() <= before


# --------------------------------------------------------------------------------------------------------------- files


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def test_weights_may_be_safetensors(image_reward: Path, bert: Path, tmp_path: Path, images: list[Image.Image]) -> None:
    save_file(blip_weights(), tmp_path / "w.safetensors")
    assert ImageReward(str(tmp_path / "w.safetensors"), str(bert))(images, PROMPTS) == ImageReward(str(image_reward), str(bert))(images, PROMPTS)


def test_code_in_weights_is_not_run(clip: Path, tmp_path: Path) -> None:
    torch.save({"layers.0.weight": Bomb(tmp_path / "exploded")}, tmp_path / "w.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    for name in ("w.pth", "bare.pth"):
        with pytest.raises(ValueError, match="holds more than tensors"):
            LaionAesthetic(str(tmp_path / name), str(clip))
    assert not (tmp_path / "exploded").exists()


def test_weights_of_another_model_are_refused(clip: Path, head: Path, hps: Path, bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not hold the weights of this model"):
        Hpsv2(str(head), "tiny-hps")
    with pytest.raises(ValueError, match=r"is no ImageReward: it has no blip.visual_encoder.\*"):
        ImageReward(str(hps), str(bert))
    with pytest.raises(ValueError, match="there is no file"):
        LaionAesthetic(str(tmp_path / "none.pth"), str(clip))
