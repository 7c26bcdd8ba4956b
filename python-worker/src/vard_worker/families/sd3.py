"""Stable Diffusion 3 and 3.5: two CLIP text encoders and a T5, a multimodal transformer and a VAE."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, SchedulerMixin, SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor
from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel

from vard_worker.chains import flow
from vard_worker.families import configs
from vard_worker.families.base import DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS, Condition, Features, Part
from vard_worker.families.configs import Config
from vard_worker.families.features import reached
from vard_worker.families.joint_attention import LastTokenCounts
from vard_worker.families.latents import latent_size
from vard_worker.families.transformer import JOINT_ATTENTION, TransformerFamily, dynamic_shift
from vard_worker.finite import demand_finite

CLIP = ("CLIPTextModelWithProjection",)
ABSENT = 256
"""Tokens that the pipeline reads as zeros where its T5 is absent: its default ``max_sequence_length``."""
CLIP_TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")


class StableDiffusion3(TransformerFamily):
    """A ``StableDiffusion3Pipeline``, with or without its T5: without, the pipeline reads zeros for it."""

    name = "sd3"
    pipeline_class = StableDiffusion3Pipeline
    parts = {
        "vae": Part("diffusers", ("AutoencoderKL",), DIFFUSERS_WEIGHTS, AutoencoderKL),
        "text_encoder": Part("transformers", CLIP, TRANSFORMERS_WEIGHTS, CLIPTextModelWithProjection),
        "tokenizer": Part("transformers", CLIP_TOKENIZERS),
        "text_encoder_2": Part("transformers", CLIP, TRANSFORMERS_WEIGHTS, CLIPTextModelWithProjection),
        "tokenizer_2": Part("transformers", CLIP_TOKENIZERS),
        "text_encoder_3": Part("transformers", ("T5EncoderModel",), TRANSFORMERS_WEIGHTS, T5EncoderModel, optional=True),
        "tokenizer_3": Part("transformers", ("T5Tokenizer", "T5TokenizerFast"), optional=True),
        "transformer": Part("diffusers", ("SD3Transformer2DModel",), DIFFUSERS_WEIGHTS, SD3Transformer2DModel),
        "scheduler": Part("diffusers", flow.SUPPORTED),
    }
    unread = {"image_encoder": None, "feature_extractor": None}
    targets = JOINT_ATTENTION

    def __init__(self, pipeline: StableDiffusion3Pipeline, guidance: float, dtype: torch.dtype, height: int = 0, width: int = 0) -> None:
        super().__init__(pipeline, guidance, dtype)
        config, factor = self.net.config, pipeline.vae_scale_factor
        patch = config.patch_size
        units = latent_size(height, width, factor * patch, (config.sample_size // patch,) * 2, most=config.pos_embed_max_size)
        self.latent_shape = (config.in_channels, units[0] * patch, units[1] * patch)
        self.image_shape = (self.latent_shape[1] * factor, self.latent_shape[2] * factor, 3)
        # Attention with weighed tokens is slower than without: a larger picture has little to win.
        self.abridges = pipeline.text_encoder_3 is None and units[0] * units[1] < ABSENT
        if self.abridges:
            # A second attention is of the image alone, but is told the same.
            for attention in [part for block in self.net.transformer_blocks for part in (block.attn, block.attn2) if part is not None]:
                attention.set_processor(LastTokenCounts(attention.processor))

    @classmethod
    def check(cls, root: Path, checkpoint: str) -> None:
        network, vae = Config(root, "transformer", checkpoint, SD3Transformer2DModel), Config(root, "vae", checkpoint, AutoencoderKL)
        configs.check_channels(network, vae)
        configs.check_vae(vae)
        configs.check_shift(vae)
        if network["out_channels"] not in (None, network["in_channels"]):
            raise network.refused("out_channels", f"but in_channels: {network['in_channels']!r}; other outputs beside the velocity are not supported")
        size, patch, most = network["sample_size"], network["patch_size"], network["pos_embed_max_size"]
        for key, value in (("sample_size", size), ("patch_size", patch), ("pos_embed_max_size", most)):
            network.check_size(key, value, 1, 2048)
            if type(value) is not int:
                raise network.refused(key, "give a whole number")
        if size % patch or size // patch > most:
            raise network.refused("sample_size", f"give a multiple of patch_size {patch}, at most {most * patch} (pos_embed_max_size)")
        clips = [configs.clip_config(root, f"text_encoder{n}", f"tokenizer{n}", checkpoint) for n in ("", "_2")]
        pooled = sum(clip.projection_dim for clip in clips)
        if network["pooled_projection_dim"] != pooled:
            raise network.refused("pooled_projection_dim", f"but its two CLIP text encoders' projection_dim are {pooled} together; take them from one model")
        width = sum(clip.hidden_size for clip in clips)
        if width > network["joint_attention_dim"]:
            raise network.refused("joint_attention_dim", f"but its two CLIP text encoders are {width} wide together; take them from one model")
        if (root / "text_encoder_3").is_dir():
            t5 = configs.transformers_config(root, "text_encoder_3", checkpoint, T5Config)
            if network["joint_attention_dim"] != t5.d_model:
                raise network.refused("joint_attention_dim", f"but text_encoder_3's d_model is {t5.d_model}; take both from one model")

    @property
    def condition_width(self) -> int:
        return self.net.config.pooled_projection_dim

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> Condition:
        guided = self.guidance > 1
        encoded, empty, pooled, empty_pooled = self.pipeline.encode_prompt(prompts, None, None, device=self.device, do_classifier_free_guidance=guided)
        demand_finite(
            "the text encoders",
            [("a prompt's encoding", encoded), ("a prompt's pooled encoding", pooled)],
            "use float32, or a checkpoint whose text encoders are whole",
        )
        return {"prompts": encoded, "pooled": pooled} | ({"empty": empty, "empty_pooled": empty_pooled} if guided else {})

    def abridged(self, condition: Condition) -> Condition:
        """With one token of zeros for all of the absent T5's. They have no position, so they are equal, and stay so from block to block."""
        if not self.abridges:
            return condition
        return {key: tensor[:, : 1 - ABSENT] if key in ("prompts", "empty") else tensor for key, tensor in condition.items()}

    def tokens(self, condition: Condition) -> Tensor:
        return condition["pooled"][:, None]

    def call(self, x_BCHW: Tensor, t_B: Tensor, prompts: Tensor, pooled: Tensor) -> Tensor:
        short = self.abridges and prompts.shape[1] < ABSENT
        return self.net(
            hidden_states=x_BCHW,
            timestep=t_B,
            encoder_hidden_states=prompts,
            pooled_projections=pooled,
            joint_attention_kwargs={"times": ABSENT} if short else None,
            return_dict=False,
        )[0]

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition) -> Tensor:
        t_B = t.expand(len(x_BCHW))
        with self.autocast():
            if "empty" not in condition:
                return self.call(x_BCHW, t_B, condition["prompts"], condition["pooled"]).to(x_BCHW.dtype)
            prompts = torch.cat([condition["empty"], condition["prompts"]])
            pooled = torch.cat([condition["empty_pooled"], condition["pooled"]])
            output = self.call(torch.cat([x_BCHW, x_BCHW]), torch.cat([t_B, t_B]), prompts, pooled).to(x_BCHW.dtype)
        without, with_prompt = output.chunk(2)
        return without + self.guidance * (with_prompt - without)

    def set_timesteps(self, scheduler: SchedulerMixin, steps: int) -> None:
        patch = self.net.config.patch_size
        tokens = (self.latent_shape[1] // patch) * (self.latent_shape[2] // patch)
        scheduler.set_timesteps(steps, **dynamic_shift(scheduler.config, tokens))

    def without_effect(self) -> list[str]:
        """The last block hands no text on, so nobody looks at what its text asks for."""
        last = len(self.net.transformer_blocks) - 1
        return [f"transformer_blocks.{last}.attn.add_q_proj"] if self.net.transformer_blocks[last].context_pre_only else []

    def middle(self) -> tuple[Features, int]:
        """The image's tokens after half of the blocks, laid out as their patches lie."""
        net, patch = self.net, self.net.config.patch_size
        block = net.transformer_blocks[(len(net.transformer_blocks) - 1) // 2]

        def encode(x_BCHW: Tensor, t_B: Tensor, condition: Condition) -> Tensor:
            with self.autocast():
                tokens_BLD = reached(block, lambda: self.call(x_BCHW, t_B, condition["prompts"], condition["pooled"]), place=1)
            return tokens_BLD.transpose(1, 2).unflatten(2, (x_BCHW.shape[2] // patch, x_BCHW.shape[3] // patch))

        return encode, net.inner_dim

    def in_float32(self, condition: Condition) -> dict[str, Tensor]:
        names = {
            "prompts": "prompt_embeds",
            "pooled": "pooled_prompt_embeds",
            "empty": "negative_prompt_embeds",
            "empty_pooled": "negative_pooled_prompt_embeds",
        }
        return {names[key]: tensor.float() for key, tensor in condition.items()}
