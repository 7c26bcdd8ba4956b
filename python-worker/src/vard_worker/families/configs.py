"""What the configurations of a pipeline's networks must say for its pictures to be those of a plain pipeline, looked at
before any weight is read."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel, UNet2DModel
from transformers import CLIPTextConfig, PretrainedConfig

from vard_worker.errors import WorkerError
from vard_worker.model_files import not_loadable, read_json

LARGEST = 2**31 - 1
"""Of any number of a configuration. Sizes have a bound of their own: a network is built before its weights are missed."""
ENDLESS = ("lambda_min_clipped",)
"""Keys that are infinite by default: a solver's."""

WIDTH, LEVELS, SIDE = (1, 1 << 16), (1, 256), (1, 2048)
SIZES: dict[str, tuple[int, int]] = {
    "in_channels": WIDTH, "out_channels": WIDTH, "latent_channels": WIDTH, "block_out_channels": WIDTH, "norm_num_groups": WIDTH,
    "attention_head_dim": WIDTH, "num_attention_heads": WIDTH, "cross_attention_dim": WIDTH, "encoder_hid_dim": WIDTH, "time_embedding_dim": WIDTH,
    "hidden_size": WIDTH, "intermediate_size": WIDTH, "layers_per_block": LEVELS, "transformer_layers_per_block": LEVELS,
    "num_hidden_layers": LEVELS, "conv_in_kernel": LEVELS, "conv_out_kernel": LEVELS, "max_position_embeddings": WIDTH, "vocab_size": (1, 1 << 24),
}  # fmt: skip
"""Least and most of whole numbers, lists of them too."""


class Config:
    """A part's configuration, with its class's defaults; says a refusal with the file and the key."""

    def __init__(self, root: Path, part: str, checkpoint: str, network: type) -> None:
        self.place, self.checkpoint = f"{part}/config.json", checkpoint
        defaults = {name: parameter.default for name, parameter in inspect.signature(network.__init__).parameters.items()}
        self.values = defaults | read_json(root / part / "config.json", checkpoint)
        for key, (least, most) in SIZES.items():
            self.check_size(key, self.values.get(key), least, most)

    def __getitem__(self, key: str) -> object:
        return self.values.get(key)

    def check_size(self, key: str, value: object, least: int, most: int) -> None:
        for size in flat(value):
            if size is not None and (type(size) is not int or not least <= size <= most):
                raise self.refused(key, f"give whole numbers from {least} to {most}")

    def refused(self, key: str, cure: str) -> WorkerError:
        return not_loadable(self.checkpoint, f"{self.place}: {key}: {self[key]!r}; {cure}")


def flat(value: object) -> list[object]:
    return [one for each in value for one in flat(each)] if isinstance(value, list | tuple) else [value]


def check_finite(place: str, config: object, checkpoint: str, key: str = "") -> None:
    """Refuses numbers that no configuration has: NaN, infinity, 1e308."""
    if isinstance(config, dict):
        for name, value in config.items():
            check_finite(place, value, checkpoint, name)
    elif isinstance(config, list):
        for value in config:
            check_finite(place, value, checkpoint, key)
    elif isinstance(config, int | float) and key not in ENDLESS and not (math.isfinite(config) and abs(config) <= LARGEST):
        raise not_loadable(checkpoint, f"{place}: {key}: {config:g}; give a number that is finite, and not above {LARGEST}")


def check_text_to_image(root: Path, checkpoint: str) -> None:
    """A ``StableDiffusionPipeline``'s UNet, VAE, text encoder and tokenizer, and that they fit one another."""
    unet, vae = Config(root, "unet", checkpoint, UNet2DConditionModel), Config(root, "vae", checkpoint, AutoencoderKL)
    check_unet(unet)
    if unet["time_cond_proj_dim"] is not None:
        raise unet.refused(
            "time_cond_proj_dim",
            "it is a distilled model that takes the guidance scale as an input, which is not supported; take the model that it was distilled from",
        )
    if unet["addition_embed_type"] not in (None, "text"):
        raise unet.refused("addition_embed_type", "its UNet takes more than a prompt, as SDXL's does, which is not supported; give an SD 1.x or 2.x model")
    if unet["encoder_hid_dim_type"] not in (None, "text_proj"):
        raise unet.refused("encoder_hid_dim_type", "its UNet takes images beside the prompt, which is not supported; give a model of text alone")
    check_channels(unet, vae)
    check_vae(vae)
    check_text_encoder(root, unet, checkpoint)


def check_text_encoder(root: Path, unet: Config, checkpoint: str) -> None:
    text = clip_config(root, "text_encoder", "tokenizer", checkpoint)
    key = "cross_attention_dim" if unet["encoder_hid_dim"] is None else "encoder_hid_dim"
    if any(width not in (None, text.hidden_size) for width in flat(unet[key])):
        raise unet.refused(key, f"but its text encoder's hidden_size is {text.hidden_size}; take both from one model")


def transformers_config(root: Path, part: str, checkpoint: str, kind: type[PretrainedConfig]) -> PretrainedConfig:
    """A text encoder's configuration, as its library reads it."""
    place = Config(root, part, checkpoint, kind).place
    try:
        return kind.from_pretrained(root / part, local_files_only=True)
    except Exception as error:  # the library's own checks raise what they like
        raise not_loadable(checkpoint, f"{place}: {' '.join(str(error).split())}") from error


def clip_config(root: Path, part: str, tokenizer: str, checkpoint: str) -> CLIPTextConfig:
    """A CLIP text encoder's, after looking at what its tokenizer gives it."""
    text = transformers_config(root, part, checkpoint, CLIPTextConfig)
    file = root / tokenizer / "tokenizer_config.json"
    length = read_json(file, checkpoint).get("model_max_length") if file.is_file() else None
    most = text.max_position_embeddings
    if type(length) is not int or not 2 <= length <= most:
        raise not_loadable(
            checkpoint,
            f"{tokenizer}/tokenizer_config.json: model_max_length: {'missing' if length is None else f'{length:g}'}; give the tokens that its text"
            f" encoder reads, at most {most} ({part}/config.json: max_position_embeddings)",
        )
    return text


def check_vae(vae: Config) -> None:
    if vae["out_channels"] != 3:
        raise vae.refused("out_channels", "only VAEs that draw RGB images are supported, with 3")
    check_scale(vae)


def check_scale(vae: Config) -> None:
    scale = vae["scaling_factor"]
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 1e-6 <= abs(scale) <= 1e6:
        raise vae.refused("scaling_factor", "give the number that its latents were multiplied by, 0.18215 for SD 1.x and 2.x")


def check_shift(vae: Config) -> None:
    """Pipelines of flow matching add it."""
    shift = vae["shift_factor"]
    if isinstance(shift, bool) or not isinstance(shift, int | float) or abs(shift) > 1e6:
        raise vae.refused("shift_factor", "give the number that was taken from its latents, 0.0 if none was")


def check_channels(network: Config, vae: Config) -> None:
    if network["in_channels"] != vae["latent_channels"]:
        raise network.refused(
            "in_channels", f"but its VAE has {vae['latent_channels']} latent_channels: an inpainting or editing model, which is not supported"
        )


def check_unconditional(root: Path, checkpoint: str) -> None:
    """A ``DDPMPipeline``'s UNet."""
    unet = Config(root, "unet", checkpoint, UNet2DModel)
    check_unet(unet, classes=True)
    if unet["in_channels"] not in (1, 3):
        raise unet.refused("in_channels", "1 or 3 are supported, for gray and RGB images")


def check_unet(unet: Config, classes: bool = False) -> None:
    """``classes``: whether it may embed classes, as numbers."""
    if unet["class_embed_type"] is not None:
        raise unet.refused(
            "class_embed_type", "a class that is not a number is not supported; give a model of text, of num_class_embeds classes, or of nothing"
        )
    if unet["num_class_embeds"] is not None:
        if not classes:
            raise unet.refused("num_class_embeds", "it is conditioned on classes beside the prompt, which is not supported; give a model of text alone")
        unet.check_size("num_class_embeds", unet["num_class_embeds"], 1, 1 << 20)
    if unet["out_channels"] != unet["in_channels"]:
        raise unet.refused(
            "out_channels", f"but in_channels: {unet['in_channels']!r}; learned variances are not supported, nor are other outputs beside the noise"
        )
    sides = unet["sample_size"]
    if not (type(sides) is int or (isinstance(sides, list | tuple) and len(sides) == 2)) or None in flat(sides):
        raise unet.refused("sample_size", "give the side of what it denoises, or [height, width]: for SD 1.x 64, an image's 512 by the VAE's 8")
    unet.check_size("sample_size", sides, *SIDE)
