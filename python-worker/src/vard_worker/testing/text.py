"""Tokenizers and text encoders."""

from __future__ import annotations

import string

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

TOKENS = 16


def character_tokenizer() -> CLIPTokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,.-'"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=TOKENS)


def clip(
    kind: type[CLIPTextModel] | type[CLIPTextModelWithProjection], tokenizer: CLIPTokenizer, width: int = 32
) -> CLIPTextModel | CLIPTextModelWithProjection:
    return kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=TOKENS, projection_dim=width,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


def t5_tokenizer() -> T5TokenizerFast:
    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase, *string.digits, ",", ".", "-", "'"]
    return T5TokenizerFast(vocab=[(piece, 0.0 if i < 3 else -1.0) for i, piece in enumerate(pieces)], extra_ids=0)


def t5(tokenizer: T5TokenizerFast, width: int) -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu"))
