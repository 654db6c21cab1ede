"""Checkpoints of openai-whisper written in the other forms that people hold Whisper in."""

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import gguf.quants
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]
Checkpoint = dict[str, Any]

_TO_HUGGING_FACE = (
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("decoder.ln.", "decoder.layer_norm."),
    ("encoder.positional_embedding", "encoder.embed_positions.weight"),
    ("decoder.positional_embedding", "decoder.embed_positions.weight"),
    ("decoder.token_embedding.", "decoder.embed_tokens."),
    (".blocks.", ".layers."),
    (".cross_attn_ln.", ".encoder_attn_layer_norm."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".mlp_ln.", ".final_layer_norm."),
    (".cross_attn.", ".encoder_attn."),
    (".attn.", ".self_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    (".mlp.0.", ".fc1."),
    (".mlp.2.", ".fc2."),
)


def hugging_face_config(dims: dict[str, int]) -> dict[str, Any]:
    """What transformers' WhisperConfig says of these dimensions."""
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "num_mel_bins": dims["n_mels"],
        "max_source_positions": dims["n_audio_ctx"],
        "d_model": dims["n_audio_state"],
        "encoder_attention_heads": dims["n_audio_head"],
        "encoder_layers": dims["n_audio_layer"],
        "vocab_size": dims["n_vocab"],
        "max_target_positions": dims["n_text_ctx"],
        "decoder_attention_heads": dims["n_text_head"],
        "decoder_layers": dims["n_text_layer"],
    }


def hugging_face_state(state: State) -> State:
    """The weights by transformers' names."""
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in _TO_HUGGING_FACE:
            name = name.replace(ours, theirs)
        renamed[f"model.{name}"] = tensor.contiguous()
    return renamed


def write_hugging_face(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    shards: int = 1,
    pickled: bool = False,
    dtype: torch.dtype = torch.float16,
    generation: dict[str, Any] | None = None,
) -> Path:
    """A folder as `save_pretrained` leaves it."""
    folder.mkdir(parents=True)
    config = hugging_face_config(checkpoint["dims"])
    (folder / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    state = {n: t.to(dtype) for n, t in hugging_face_state(checkpoint["model_state_dict"]).items()}
    stem, suffix = ("pytorch_model", "bin") if pickled else ("model", "safetensors")
    names = sorted(state)
    places = {}
    for shard in range(shards):
        part = {name: state[name] for name in names[shard::shards]}
        file = f"{stem}.{suffix}"
        if shards > 1:
            file = f"{stem}-{shard + 1:05}-of-{shards:05}.{suffix}"
        if pickled:
            torch.save(part, folder / file)
        else:
            save_file(part, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(part, file))
    if shards > 1:
        index = {"metadata": {}, "weight_map": places}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return folder


def write_ctranslate2(
    checkpoint: Checkpoint,
    folder: Path,
    kind: str = "float16",
    config: dict[str, Any] | None = None,
    spec: str = "WhisperSpec",
) -> Path:
    """A folder as CTranslate2's converter leaves it; `kind` is float32, float16, bfloat16, int8."""
    folder.mkdir(parents=True)
    (folder / "vocabulary.json").write_text("[]")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    dims, state = checkpoint["dims"], checkpoint["model_state_dict"]
    variables: list[bytes] = []

    def put(name: str, value: Tensor) -> None:
        types = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
        data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        variables.append(
            _string(name)
            + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
            + struct.pack("<BI", types.index(value.dtype), len(data))
            + data
        )

    def matrix(name: str, value: Tensor) -> None:
        if kind == "int8":
            scale = 127 / value.float().reshape(len(value), -1).abs().amax(dim=1).clamp_min(1e-9)
            shaped = scale.reshape(-1, *[1] * (value.ndim - 1))
            put(name, torch.round(value.float() * shaped).to(torch.int8))
            put(f"{name}_scale", scale)
        else:
            put(name, value.to(getattr(torch, kind)))

    def vector(name: str, value: Tensor) -> None:
        put(name, value.float() if kind == "int8" else value.to(getattr(torch, kind)))

    def linear(name: str, *sources: str) -> None:
        weights = [state[f"{source}.weight"] for source in sources]
        biases = [
            state.get(f"{source}.bias", torch.zeros(len(weight), dtype=weight.dtype))
            for source, weight in zip(sources, weights, strict=True)
        ]
        matrix(f"{name}/weight", torch.cat(weights))
        vector(f"{name}/bias", torch.cat(biases))

    def norm(name: str, source: str) -> None:
        vector(f"{name}/gamma", state[f"{source}.weight"])
        vector(f"{name}/beta", state[f"{source}.bias"])

    put("encoder/num_heads", torch.tensor(dims["n_audio_head"], dtype=torch.int16))
    put("decoder/num_heads", torch.tensor(dims["n_text_head"], dtype=torch.int16))
    linear("encoder/conv1", "encoder.conv1")
    linear("encoder/conv2", "encoder.conv2")
    norm("encoder/layer_norm", "encoder.ln_post")
    norm("decoder/layer_norm", "decoder.ln")
    matrix("decoder/embeddings/weight", state["decoder.token_embedding.weight"])
    for tower in ("encoder", "decoder"):
        positions = state[f"{tower}.positional_embedding"]
        vector(f"{tower}/position_encodings/encodings", positions)
        layers = dims["n_audio_layer" if tower == "encoder" else "n_text_layer"]
        for number in range(layers):
            layer, block = f"{tower}/layer_{number}", f"{tower}.blocks.{number}"
            parts = [f"{block}.attn.{part}" for part in ("query", "key", "value")]
            linear(f"{layer}/self_attention/linear_0", *parts)
            linear(f"{layer}/self_attention/linear_1", f"{block}.attn.out")
            norm(f"{layer}/self_attention/layer_norm", f"{block}.attn_ln")
            if tower == "decoder":
                cross = f"{block}.cross_attn"
                linear(f"{layer}/attention/linear_0", f"{cross}.query")
                linear(f"{layer}/attention/linear_1", f"{cross}.key", f"{cross}.value")
                linear(f"{layer}/attention/linear_2", f"{cross}.out")
                norm(f"{layer}/attention/layer_norm", f"{block}.cross_attn_ln")
            linear(f"{layer}/ffn/linear_0", f"{block}.mlp.0")
            linear(f"{layer}/ffn/linear_1", f"{block}.mlp.2")
            norm(f"{layer}/ffn/layer_norm", f"{block}.mlp_ln")
    alias = _string("decoder/projection/weight") + _string("decoder/embeddings/weight")
    (folder / "model.bin").write_bytes(
        struct.pack("<I", 6)
        + _string(spec)
        + struct.pack("<II", 3, len(variables))
        + b"".join(variables)
        + struct.pack("<I", 1)
        + alias
    )
    return folder


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


_HEADER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx",
    "n_text_state", "n_text_head", "n_text_layer", "n_mels",
)  # fmt: skip


def write_ggml(checkpoint: Checkpoint, path: Path, kind: str = "F16") -> Path:
    """A file as whisper.cpp's converter and quantizer leave it; `kind` is gguf's name of a type."""
    dims = checkpoint["dims"]
    with path.open("wb") as file:
        file.write(struct.pack("<I10ii", 0x67676D6C, *(dims[name] for name in _HEADER), 1))
        file.write(struct.pack("<2i", 1, 1) + bytes(4))  # mel filters
        file.write(struct.pack("<i", 2) + struct.pack("<i", 1) + b"a" + struct.pack("<i", 0))
        for name, tensor in checkpoint["model_state_dict"].items():
            values = tensor.float().numpy()
            if values.ndim < 2 or "positional" in name:
                data, stored = values.tobytes(), gguf.GGMLQuantizationType.F32
                shape = (len(values), 1) if ".conv" in name else values.shape
            elif values.ndim == 3 or kind == "F16":
                data, stored = values.astype(np.float16).tobytes(), gguf.GGMLQuantizationType.F16
                shape = values.shape
            else:
                stored = gguf.GGMLQuantizationType[kind]
                data, shape = gguf.quants.quantize(values, stored).tobytes(), values.shape
            encoded = name.encode()
            file.write(struct.pack("<3i", len(shape), len(encoded), stored))
            file.write(struct.pack(f"<{len(shape)}i", *reversed(shape)) + encoded + data)
    return path
