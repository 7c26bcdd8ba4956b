"""Sana: a Gemma 2 text encoder, a transformer of linear attention and a deep-compression autoencoder."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel
from torch import Tensor
from transformers import Gemma2Config, Gemma2Model

from vard_worker.chains import flow
from vard_worker.families import configs
from vard_worker.families.base import DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS, Condition, Features, Part
from vard_worker.families.configs import Config
from vard_worker.families.features import reached
from vard_worker.families.latents import latent_size
from vard_worker.families.transformer import ATTENTION, TransformerFamily
from vard_worker.finite import demand_finite

INSTRUCTION = inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default
"""What the pipeline puts before each prompt by default."""


class Sana(TransformerFamily):
    """A ``SanaPipeline``. Its pictures are drawn at the size that is asked for, without the pipeline's binning of sizes."""

    name = "sana"
    pipeline_class = SanaPipeline
    parts = {
        "vae": Part("diffusers", ("AutoencoderDC",), DIFFUSERS_WEIGHTS, AutoencoderDC),
        "text_encoder": Part("transformers", ("Gemma2Model",), TRANSFORMERS_WEIGHTS, Gemma2Model),
        "tokenizer": Part("transformers", ("GemmaTokenizer", "GemmaTokenizerFast")),
        "transformer": Part("diffusers", ("SanaTransformer2DModel",), DIFFUSERS_WEIGHTS, SanaTransformer2DModel),
        "scheduler": Part("diffusers", flow.SUPPORTED),
    }
    targets = ATTENTION
    call_options = {"use_resolution_binning": False}

    def __init__(self, pipeline: SanaPipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        super().__init__(pipeline, guidance, dtype)
        config, factor = self.net.config, pipeline.vae_scale_factor
        # The pipeline takes multiples of 32 pixels, whatever its VAE's factor.
        unit = max(1, 32 // (factor * config.patch_size)) * config.patch_size
        units = latent_size(height, width, factor * unit, (config.sample_size // unit,) * 2)
        self.latent_shape = (config.in_channels, units[0] * unit, units[1] * unit)
        self.image_shape = (self.latent_shape[1] * factor, self.latent_shape[2] * factor, 3)

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        network, vae = Config(root, "transformer", checkpoint, SanaTransformer2DModel), Config(root, "vae", checkpoint, AutoencoderDC)
        configs.check_channels(network, vae)
        configs.check_scale(vae)
        if network["out_channels"] not in (None, network["in_channels"]):
            raise network.refused("out_channels", f"but in_channels: {network['in_channels']!r}; other outputs beside the velocity are not supported")
        if network["guidance_embeds"]:
            raise network.refused(
                "guidance_embeds", "it is a distilled model that takes the guidance scale as an input (as SANA-Sprint), which is not supported; give false"
            )
        size, patch = network["sample_size"], network["patch_size"]
        for key, value in (("sample_size", size), ("patch_size", patch)):
            network.check_size(key, value, 1, 2048)
            if type(value) is not int:
                raise network.refused(key, "give a whole number")
        assert isinstance(size, int) and isinstance(patch, int)
        if size % patch:
            raise network.refused("sample_size", f"give a multiple of patch_size {patch}")
        gemma = configs.transformers_config(root, "text_encoder", checkpoint, Gemma2Config)
        if network["caption_channels"] != gemma.hidden_size:
            raise network.refused("caption_channels", f"but text_encoder's hidden_size is {gemma.hidden_size}; take both from one model")

    @property
    def net(self) -> Any:
        """A ``SanaTransformer2DModel``."""
        return self.pipeline.transformer

    @property
    def condition_width(self) -> int:
        return int(self.net.config.caption_channels)

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> Condition:
        guided = self.guidance > 1
        encoded, mask, empty, empty_mask = self.pipeline.encode_prompt(prompts, guided, device=self.device, complex_human_instruction=INSTRUCTION)
        demand_finite("the text encoder", [("a prompt's encoding", encoded)], "use float32, or a checkpoint whose text encoder is whole")
        return {"prompts": encoded, "mask": mask} | ({"empty": empty, "empty_mask": empty_mask} if guided else {})

    def tokens(self, condition: Condition | None) -> Tensor:
        """One: the mean of those that are no padding."""
        assert condition is not None
        mask_BL1 = condition["mask"].unsqueeze(2).to(condition["prompts"].dtype)
        return (condition["prompts"] * mask_BL1).sum(1, keepdim=True) / mask_BL1.sum(1, keepdim=True)

    def call(self, x_BCHW: Tensor, t_B: Tensor, prompts: Tensor, mask: Tensor) -> Tensor:
        return self.net(
            x_BCHW,
            encoder_hidden_states=prompts,
            encoder_attention_mask=mask,
            timestep=t_B * self.net.config.timestep_scale,
            return_dict=False,
        )[0]

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        assert condition is not None
        t_B = t.expand(len(x_BCHW))
        with self.autocast():
            if "empty" not in condition:
                return self.call(x_BCHW, t_B, condition["prompts"], condition["mask"]).to(x_BCHW.dtype)
            prompts = torch.cat([condition["empty"], condition["prompts"]])
            mask = torch.cat([condition["empty_mask"], condition["mask"]])
            output = self.call(torch.cat([x_BCHW, x_BCHW]), torch.cat([t_B, t_B]), prompts, mask).to(x_BCHW.dtype)
        without, with_prompt = output.chunk(2)
        return without + self.guidance * (with_prompt - without)

    def middle(self) -> tuple[Features, int]:
        """The image's tokens after half of the blocks, laid out as their patches lie."""
        net, patch = self.net, self.net.config.patch_size
        block = net.transformer_blocks[(len(net.transformer_blocks) - 1) // 2]

        def encode(x_BCHW: Tensor, t_B: Tensor, condition: Condition | None) -> Tensor:
            assert condition is not None
            with self.autocast():
                tokens_BLD = reached(block, lambda: self.call(x_BCHW, t_B, condition["prompts"], condition["mask"]))
            return tokens_BLD.transpose(1, 2).unflatten(2, (x_BCHW.shape[2] // patch, x_BCHW.shape[3] // patch))

        return encode, net.config.num_attention_heads * net.config.attention_head_dim

    def in_float32(self, condition: Condition) -> dict[str, Tensor | None]:
        names = {
            "prompts": "prompt_embeds",
            "mask": "prompt_attention_mask",
            "empty": "negative_prompt_embeds",
            "empty_mask": "negative_prompt_attention_mask",
        }
        told = {names[key]: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in condition.items()}
        # By default it is an empty text, which the pipeline takes beside no encoding of one.
        return told | {"negative_prompt": None}
