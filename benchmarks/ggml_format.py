"""Whisper checkpoints as ggml files, which whisper.cpp loads: float16 or 8-bit blocks (q8_0)."""

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import whisper

from benchmarks.vocabulary import read_vocabulary

Precision = Literal["f16", "q8_0"]

_MAGIC = 0x67676D6C
_HEADER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx",
    "n_text_state", "n_text_head", "n_text_layer", "n_mels",
)  # fmt: skip
# What ggml calls the kinds: of a file (with the version of the block formats) and of a tensor.
_FILE_KIND: dict[Precision, int] = {"f16": 1, "q8_0": 2 * 1000 + 7}
_F32, _F16, _Q8_0 = 0, 1, 8
_BLOCK = 32
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("values", "i1", _BLOCK)])
_ALWAYS_F32 = (
    "encoder.conv1.bias",
    "encoder.conv2.bias",
    "encoder.positional_embedding",
    "decoder.positional_embedding",
)


class Encoded(NamedTuple):
    """A tensor as the file holds it."""

    kind: int
    shape: tuple[int, ...]
    data: bytes


def q8_0(matrix: npt.NDArray[np.float32]) -> bytes:
    """Rows in blocks of 32: a float16 scale, the largest magnitude / 127, and 32 int8 values."""
    blocks = matrix.reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1) / np.float32(127)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    packed = np.empty(len(blocks), _BLOCK_TYPE)
    packed["scale"] = scales
    packed["values"] = np.rint(blocks * inverse[:, None])
    return packed.tobytes()


def from_q8_0(data: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The matrix that blocks stand for."""
    packed = np.frombuffer(data, _BLOCK_TYPE)
    scaled: npt.NDArray[np.float32] = packed["values"] * packed["scale"].astype(np.float32)[:, None]
    return scaled.reshape(shape)


def encode(name: str, tensor: npt.NDArray[np.float32], precision: Precision) -> Encoded:
    """A tensor in the kind that whisper.cpp's own converter and quantizer give it."""
    if name in _ALWAYS_F32 or tensor.ndim < 2:
        column = name.startswith("encoder.conv")  # a bias that is added to rows of frames
        shape = (len(tensor), 1) if column else tensor.shape
        return Encoded(_F32, shape, tensor.tobytes())
    if precision == "q8_0" and tensor.ndim == 2:  # the convolutions have three dimensions
        return Encoded(_Q8_0, tensor.shape, q8_0(tensor))
    return Encoded(_F16, tensor.shape, tensor.astype(np.float16).tobytes())


def write_ggml(checkpoint: dict[str, Any], path: Path, precision: Precision) -> None:
    """Write a multilingual checkpoint."""
    dims = checkpoint["dims"]
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        header = [dims[name] for name in _HEADER]
        file.write(struct.pack("<12i", _MAGIC, *header, _FILE_KIND[precision]))
        _write_mel_filters(file, dims["n_mels"])
        tokens = read_vocabulary().text  # whisper.cpp makes up the special ones itself
        file.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            file.write(struct.pack("<i", len(token)) + token)
        for name, tensor in checkpoint["model_state_dict"].items():
            encoded = encode(name, tensor.float().numpy(), precision)
            named = name.encode()
            file.write(struct.pack("<3i", len(encoded.shape), len(named), encoded.kind))
            file.write(struct.pack(f"<{len(encoded.shape)}i", *reversed(encoded.shape)))
            file.write(named + encoded.data)
    os.replace(partial, path)


def _write_mel_filters(file: BinaryIO, mels: int) -> None:
    path = Path(whisper.__file__).with_name("assets") / "mel_filters.npz"
    with np.load(path, allow_pickle=False) as archive:
        filters = archive[f"mel_{mels}"].astype(np.float32)
    file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
