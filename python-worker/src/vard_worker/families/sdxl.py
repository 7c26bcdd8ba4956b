"""Stable Diffusion XL: two CLIP text encoders, pooled encodings and sizes beside the prompt, a UNet on latents and a VAE."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection

from vard_worker.families import configs
from vard_worker.families.base import TRANSFORMERS_WEIGHTS, Condition, Part
from vard_worker.families.configs import Config, flat
from vard_worker.families.sd import StableDiffusion
from vard_worker.finite import demand_finite


class StableDiffusionXL(StableDiffusion):
    """A ``StableDiffusionXLPipeline``, whose images are said to be whole ones of their own size: no crop, no scaling."""

    name = "sdxl"
    pipeline_class = StableDiffusionXLPipeline
    parts = StableDiffusion.parts | {
        "text_encoder_2": Part("transformers", ("CLIPTextModelWithProjection",), TRANSFORMERS_WEIGHTS, CLIPTextModelWithProjection),
        "tokenizer_2": StableDiffusion.parts["tokenizer"],
    }
    unread = {"image_encoder": None, "feature_extractor": None, "add_watermarker": False}

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        unet, vae = Config(root, "unet", checkpoint, UNet2DConditionModel), Config(root, "vae", checkpoint, AutoencoderKL)
        configs.check_unet(unet)
        configs.check_channels(unet, vae)
        configs.check_vae(vae)
        if vae["latents_mean"] is not None or vae["latents_std"] is not None:
            raise vae.refused(
                "latents_mean", "latents that are shifted channel by channel are not supported; give a model whose VAE has a scaling_factor alone"
            )
        if unet["time_cond_proj_dim"] is not None:
            raise unet.refused(
                "time_cond_proj_dim",
                "it is a distilled model that takes the guidance scale as an input, which is not supported; take the model that it was distilled from",
            )
        if unet["addition_embed_type"] != "text_time":
            raise unet.refused("addition_embed_type", "an SDXL model has text_time; put back the file that belongs to it")
        if unet["encoder_hid_dim_type"] is not None:
            raise unet.refused("encoder_hid_dim_type", "its UNet takes images beside the prompt, which is not supported; give a model of text alone")
        clips = [configs.clip_config(root, f"text_encoder{n}", f"tokenizer{n}", checkpoint) for n in ("", "_2")]
        width = sum(clip.hidden_size for clip in clips)
        if any(size != width for size in flat(unet["cross_attention_dim"])):
            raise unet.refused("cross_attention_dim", f"but its two text encoders' hidden_size are {width} together; take them from one model")
        added = clips[1].projection_dim + 6 * (unet["addition_time_embed_dim"] or 0)
        if unet["projection_class_embeddings_input_dim"] != added:
            raise unet.refused(
                "projection_class_embeddings_input_dim",
                f"but text_encoder_2's projection_dim and six times addition_time_embed_dim are {added}: a refiner or an editing model, which is not supported; give a base model",
            )

    @classmethod
    def dtype_of(cls, part: str, config: dict[str, object], dtype: torch.dtype) -> torch.dtype:
        """SDXL's own VAE overflows in half precision, and says so."""
        return torch.float32 if part == "vae" and config.get("force_upcast", True) else dtype

    @property
    def condition_width(self) -> int:
        return self.net.config.cross_attention_dim

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> Condition:
        guided = self.guidance > 1
        encoded, empty, pooled, empty_pooled = self.pipeline.encode_prompt(prompts, None, self.device, 1, guided)
        demand_finite(
            "the text encoders",
            [("a prompt's encoding", encoded), ("a prompt's pooled encoding", pooled)],
            "use float32, or a checkpoint whose text encoders are whole",
        )
        return {"prompts": encoded, "pooled": pooled} | ({"empty": empty, "empty_pooled": empty_pooled} if guided else {})

    def call(self, x_BCHW: Tensor, t: Tensor, condition: Condition) -> Tensor:
        prompts, pooled = condition["prompts"], condition["pooled"]
        height, width, _ = self.image_shape
        # Original size, upper left corner of the crop, target size.
        sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=prompts.dtype, device=x_BCHW.device).expand(len(x_BCHW), -1)
        added = {"text_embeds": pooled, "time_ids": sizes}
        return self.net(x_BCHW, t, encoder_hidden_states=prompts, added_cond_kwargs=added, return_dict=False)[0]

    def guided(self, condition: Condition) -> Condition:
        return {name: torch.cat([condition[f"empty{end}"], condition[name]]) for name, end in (("prompts", ""), ("pooled", "_pooled"))}

    def size_options(self) -> dict[str, int]:
        height, width, _ = self.image_shape
        return {"height": height, "width": width}

    def pipeline_with(self, net: nn.Module) -> StableDiffusionXLPipeline:
        zeros = self.pipeline.config.force_zeros_for_empty_prompt
        parts = self.pipeline.components | {"unet": net}
        pipeline = StableDiffusionXLPipeline(**parts, force_zeros_for_empty_prompt=zeros, add_watermarker=False)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline
