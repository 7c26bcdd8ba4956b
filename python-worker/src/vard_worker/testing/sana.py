"""Sana."""

from __future__ import annotations

import string

import torch
from diffusers import AutoencoderDC, DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel
from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

WIDTH = 32


def gemma_tokenizer() -> GemmaTokenizer:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "\n", *string.ascii_letters, *string.digits, *string.punctuation]
    return GemmaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=4096)


def tiny_sana(seed: int = 0) -> SanaPipeline:
    """32x32 images of 4x8x8 latents."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = gemma_tokenizer()
        text_encoder = Gemma2Model(
            Gemma2Config(
                vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                head_dim=8, max_position_embeddings=4096, query_pre_attn_scalar=8,
            )
        )  # fmt: skip
        transformer = SanaTransformer2DModel(
            in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=2, num_cross_attention_heads=2,
            cross_attention_head_dim=16, cross_attention_dim=32, caption_channels=WIDTH, sample_size=8, patch_size=1,
        )  # fmt: skip
        vae = AutoencoderDC(
            latent_channels=4, attention_head_dim=8, encoder_block_types="ResBlock", decoder_block_types="ResBlock",
            encoder_block_out_channels=(8, 8, 16), decoder_block_out_channels=(8, 8, 16), encoder_layers_per_block=(1, 1, 1),
            decoder_layers_per_block=(1, 1, 1), encoder_qkv_multiscales=((), (), ()), decoder_qkv_multiscales=((), (), ()), scaling_factor=0.41407,
        )  # fmt: skip
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.1)
    scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction")
    return SanaPipeline(tokenizer, text_encoder, vae, transformer, scheduler)
