"""What the rewards by published models have in common: where they compute, in what, and that they give it back."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor, nn

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class ModelReward:
    """Scores by a model, at most ``batch`` images at a time. Subclasses say how, in ``score``."""

    range: tuple[float, float] | None = None

    def __init__(self, device: str, dtype: str, batch: int) -> None:
        if dtype not in DTYPES:
            raise ValueError(f"options.dtype: {dtype} is none of {', '.join(DTYPES)}")
        if not isinstance(batch, int) or batch < 1:
            raise ValueError(f"options.batch: {batch} is no number of images, 1 or more")
        self.device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        self.dtype = DTYPES[dtype]
        self.batch = batch

    def score(self, images: list[Image], prompts: list[str]) -> Tensor:
        """(B,), in any floating type."""
        raise NotImplementedError

    @torch.inference_mode()
    def __call__(self, images: list[Image], prompts: list[str]) -> list[float]:
        scores: list[float] = []
        for start in range(0, len(images), self.batch):
            part = slice(start, start + self.batch)
            scores += self.score(images[part], prompts[part]).double().tolist()
        return scores

    def close(self) -> None:
        """Gives the memory back, the GPU's too. It scores no more."""
        for name in [name for name, value in vars(self).items() if isinstance(value, nn.Module)]:
            delattr(self, name)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of each row of a (B, D) with the same of b: (B,), -1 to 1, in float32. Rounding does not lead beyond."""
    return nn.functional.cosine_similarity(a.float(), b.float(), dim=-1).clamp(-1, 1)


class LinearHead(nn.Module):
    """Five linear layers without anything between them but dropout, which does nothing here: of the improved aesthetic
    predictor (github.com/christophschuhmann/improved-aesthetic-predictor), taken over by ImageReward. The names are those of
    the published weights.

    (B, width) to (B,).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, 1024), nn.Dropout(0.2),
            nn.Linear(1024, 128), nn.Dropout(0.2),
            nn.Linear(128, 64), nn.Dropout(0.1),
            nn.Linear(64, 16),
            nn.Linear(16, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(-1)


def read_weights(file: str) -> dict[str, Tensor]:
    """Of a ``.safetensors`` file, or of a PyTorch file that holds tensors alone: no code in it is run."""
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"there is no file {path.absolute()}")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds more than tensors, which could run code when it is read: convert it to .safetensors") from error
    content = content.get("state_dict", content)
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def fill(model: nn.Module, weights: dict[str, Tensor], file: str) -> None:
    """Exactly these weights: none missing, none left over, all of the right shape."""
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{file} does not hold the weights of this model: {error}") from error
