"""ggml files, as whisper.cpp holds Whisper: `ggml-base.bin`, `ggml-large-v3-q5_0.bin`.

The layout is that of whisper.cpp's models/convert-pt-to-ggml.py and examples/quantize: dimensions,
mel filters, the vocabulary, then each tensor with its type. What the quantized types look like is
the `gguf` package's knowledge.
"""

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from longscribe.models.checkpoint import ModelDims
from longscribe.models.description import Description, unusable
from longscribe.models.shapes import Shape, contradiction
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from torch import Tensor

MAGIC = b"lmgg"  # 0x67676d6c, little-endian
_HEADER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx",
    "n_text_state", "n_text_head", "n_text_layer", "n_mels",
)  # fmt: skip
_MOST_DIMENSIONS = 4
_LONGEST_NAME_BYTES = 128


class _Stored(NamedTuple):
    shape: Shape
    kind: int  # of gguf's GGMLQuantizationType
    offset_bytes: int
    size_bytes: int


def describe(path: Path) -> Description:
    """What a file says of itself.

    Raises:
        ModelError: it is damaged, no Whisper, or quantized in a way that is not read.
    """
    dims, tensors = _table(path)
    wrong = contradiction(dims, {name: stored.shape for name, stored in tensors.items()})
    if wrong:
        raise unusable(path, wrong)
    return Description("ggml", dims, (path,))


def read(path: Path) -> "dict[str, Tensor]":
    """The weights by openai-whisper's names; quantized ones as float32.

    Raises:
        ModelError: the file is damaged, or quantized in a way that is not read.
    """
    import numpy as np
    import torch
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    _, tensors = _table(path)
    state = {}
    content = np.memmap(path, dtype=np.uint8, mode="r")
    for name, stored in tensors.items():
        end = stored.offset_bytes + stored.size_bytes
        data = content[stored.offset_bytes : end].copy()
        kind = GGMLQuantizationType(stored.kind)
        if kind is GGMLQuantizationType.F16:
            values = torch.from_numpy(data.view(np.float16).reshape(stored.shape))
        elif kind is GGMLQuantizationType.F32:
            values = torch.from_numpy(data.view(np.float32).reshape(stored.shape))
        else:
            rows = data.reshape(*stored.shape[:-1], -1)
            values = torch.from_numpy(dequantize(rows, kind).reshape(stored.shape))
        state[name] = values
    return state


def _table(path: Path) -> tuple[ModelDims, dict[str, _Stored]]:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize  # noqa: F401  # here: what it needs is missing early

    size_bytes = path.stat().st_size
    try:
        with path.open("rb") as file:
            _, *header, _ = _unpack(file, "<12i")
            dims = ModelDims(**dict(zip(_HEADER, header, strict=True)))
            mels, bins = _unpack(file, "<2i")
            _skip(file, 4 * mels * bins, size_bytes)
            (tokens,) = _unpack(file, "<i")
            for _ in range(tokens):
                (length,) = _unpack(file, "<i")
                _skip(file, length, size_bytes)
            tensors: dict[str, _Stored] = {}
            while file.tell() < size_bytes:
                count, length, kind = _unpack(file, "<3i")
                if not 1 <= count <= _MOST_DIMENSIONS or not 1 <= length <= _LONGEST_NAME_BYTES:
                    raise struct.error
                shape = tuple(reversed(_unpack(file, f"<{count}i")))
                name = file.read(length).decode()
                try:
                    known = GGMLQuantizationType(kind)
                    block, block_bytes = GGML_QUANT_SIZES[known]
                except (ValueError, KeyError):
                    raise _quantization(path, str(kind)) from None
                if known.name.startswith(("IQ", "TQ")):  # whisper.cpp has no such models
                    raise _quantization(path, known.name)
                items = 1
                for extent in shape:
                    items *= extent
                if shape[-1] % block:
                    raise struct.error
                data_bytes = items // block * block_bytes
                tensors[name] = _Stored(_squeezed(shape), kind, file.tell(), data_bytes)
                _skip(file, data_bytes, size_bytes)
    except (struct.error, ValueError, OSError):
        raise unusable(path, translated("it is cut short or damaged")) from None
    return dims, tensors


def _quantization(path: Path, kind: str) -> Exception:
    return unusable(
        path,
        translated("its quantization (type {kind}) is not read").format(kind=kind),
        translated("take one in f16, q8_0, q5_0, q5_1, q4_0, q4_1 or a k-quant"),
    )


def _squeezed(shape: Shape) -> Shape:
    """Without the axis of one that biases of convolutions have in these files."""
    return shape[:1] if len(shape) == 2 and shape[1] == 1 else shape


def _skip(file: BinaryIO, length_bytes: int, size_bytes: int) -> None:
    if length_bytes < 0 or file.seek(length_bytes, os.SEEK_CUR) > size_bytes:
        raise struct.error


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
