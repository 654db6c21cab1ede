"""Whisper checkpoints as CTranslate2 folders, which faster-whisper loads.

CTranslate2's own converter goes through transformers' model classes; this one fills its model
description from openai-whisper's tensors directly.
"""

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from benchmarks.vocabulary import multilingual_tokenizer, read_vocabulary, write_tokenizer_json

State = dict[str, torch.Tensor]


def write_ctranslate2(checkpoint: dict[str, Any], folder: Path, quantization: str) -> None:
    """Write a multilingual checkpoint; quantization is `float32`, `int8_float32` or another."""
    spec = _spec(checkpoint)
    spec.validate()
    spec.optimize(quantization=quantization)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    spec.save(str(partial))
    write_tokenizer_json(partial / "tokenizer.json")
    os.replace(partial, folder)


def _spec(checkpoint: dict[str, Any]) -> Any:
    from ctranslate2.specs import WhisperSpec

    dims = checkpoint["dims"]
    state: State = {name: tensor.float() for name, tensor in checkpoint["model_state_dict"].items()}
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    spec = WhisperSpec(dims["n_audio_layer"], dims["n_audio_head"], layers, heads)
    encoder, decoder = spec.encoder, spec.decoder
    _linear(encoder.conv1, state, "encoder.conv1")
    _linear(encoder.conv2, state, "encoder.conv2")
    encoder.position_encodings.encodings = state["encoder.positional_embedding"]
    _norm(encoder.layer_norm, state, "encoder.ln_post")
    decoder.embeddings.weight = state["decoder.token_embedding.weight"]
    decoder.position_encodings.encodings = state["decoder.positional_embedding"]
    _norm(decoder.layer_norm, state, "decoder.ln")
    decoder.projection.weight = state["decoder.token_embedding.weight"]
    for number, layer in enumerate(encoder.layer):
        _block(layer, state, f"encoder.blocks.{number}")
    for number, layer in enumerate(decoder.layer):
        block = f"decoder.blocks.{number}"
        _block(layer, state, block)
        _norm(layer.attention.layer_norm, state, f"{block}.cross_attn_ln")
        _fused(layer.attention.linear[0], state, f"{block}.cross_attn", ("query",))
        _fused(layer.attention.linear[1], state, f"{block}.cross_attn", ("key", "value"))
        _linear(layer.attention.linear[2], state, f"{block}.cross_attn.out")
    spec.register_vocabulary(read_vocabulary().names)
    tokenizer = multilingual_tokenizer()
    spec.config.suppress_ids = sorted(
        {
            *tokenizer.non_speech_tokens,
            tokenizer.transcribe,
            tokenizer.translate,
            tokenizer.sot,
            tokenizer.sot_prev,
            tokenizer.sot_lm,
            tokenizer.no_speech,
        }
    )
    spec.config.suppress_ids_begin = [*tokenizer.encode(" "), tokenizer.eot]
    spec.config.lang_ids = sorted(tokenizer.all_language_tokens)
    # Those of the upper half, as openai-whisper takes them for a checkpoint it does not know.
    spec.config.alignment_heads = [
        [layer, head] for layer, head in itertools.product(range(layers // 2, layers), range(heads))
    ]
    return spec


def _block(layer: Any, state: State, block: str) -> None:
    """Self-attention and the two matrices after it, alike in encoder and decoder."""
    _norm(layer.self_attention.layer_norm, state, f"{block}.attn_ln")
    _fused(layer.self_attention.linear[0], state, f"{block}.attn", ("query", "key", "value"))
    _linear(layer.self_attention.linear[1], state, f"{block}.attn.out")
    _norm(layer.ffn.layer_norm, state, f"{block}.mlp_ln")
    _linear(layer.ffn.linear_0, state, f"{block}.mlp.0")
    _linear(layer.ffn.linear_1, state, f"{block}.mlp.2")


def _linear(spec: Any, state: State, name: str) -> None:
    spec.weight = state[f"{name}.weight"]
    spec.bias = state[f"{name}.bias"]


def _fused(spec: Any, state: State, attention: str, names: tuple[str, ...]) -> None:
    """Several matrices of the same input as one; Whisper's keys have no bias."""
    weights = [state[f"{attention}.{name}.weight"] for name in names]
    biases = [
        state.get(f"{attention}.{name}.bias", torch.zeros(len(weight)))
        for name, weight in zip(names, weights, strict=True)
    ]
    spec.weight, spec.bias = torch.cat(weights), torch.cat(biases)


def _norm(spec: Any, state: State, name: str) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]
