"""CTranslate2 folders, as faster-whisper holds Whisper: `model.bin`, `config.json`, a vocabulary.

The layout is that of CTranslate2's python/ctranslate2/specs/model_spec.py (`_serialize`) and
src/models/model.cc: a name and a revision, then each variable with its shape, type and bytes.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from longscribe.models import added_tokens
from longscribe.models.added_tokens import AddedToken
from longscribe.models.checkpoint import ModelDims
from longscribe.models.description import Description, heads_of, standard_vocabulary, unusable
from longscribe.models.shapes import Shape, contradiction
from longscribe.wording.catalog import translated

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_FILE = "model.bin"
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_NEWEST_VERSION = 6
# float32, int8, int16, int32, float16, bfloat16: their names in torch and bytes.
_TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_ITEM_BYTES = (4, 1, 2, 4, 2, 2)
_LARGEST_TYPE = len(_TYPES) - 1


class _Variable(NamedTuple):
    shape: Shape
    kind: int  # of _TYPES
    offset_bytes: int
    size_bytes: int


def is_folder(path: Path) -> bool:
    """Whether a folder is CTranslate2's, by the names in it."""
    return (path / WEIGHTS_FILE).is_file() and any((path / v).is_file() for v in _VOCABULARIES)


def describe(folder: Path) -> Description:
    """What a folder says of itself.

    Raises:
        ModelError: it is damaged, or holds something else than Whisper.
    """
    weights = folder / WEIGHTS_FILE
    variables = _table(weights)
    config = _config(folder)
    shapes = _openai_shapes(variables)
    try:
        embedding = shapes["decoder.token_embedding.weight"]
        languages = len(config["lang_ids"]) if "lang_ids" in config else None
        if embedding[0] == 51864:
            languages = 0  # faster-whisper's own .en folders list languages that they do not know
        dims = ModelDims(
            n_mels=shapes["encoder.conv1.weight"][1],
            n_audio_ctx=shapes["encoder.positional_embedding"][0],
            n_audio_state=shapes["encoder.positional_embedding"][1],
            n_audio_head=_number(weights, variables["encoder/num_heads"]),
            n_audio_layer=_layers(variables, "encoder"),
            n_vocab=standard_vocabulary(embedding[0], languages),
            n_text_ctx=shapes["decoder.positional_embedding"][0],
            n_text_state=embedding[1],
            n_text_head=_number(weights, variables["decoder/num_heads"]),
            n_text_layer=_layers(variables, "decoder"),
        )
    except (KeyError, IndexError) as error:
        raise unusable(
            weights, translated("{name} is missing").format(name=error.args[0])
        ) from None
    shapes["decoder.token_embedding.weight"] = (dims.n_vocab, dims.n_text_state)
    wrong = contradiction(dims, shapes)
    if wrong:
        raise unusable(weights, wrong)
    suppressed = config.get("suppress_ids")
    added = added_tokens.of_ctranslate2(folder, dims.n_vocab, embedding[0])
    told = [folder / "config.json", *([added.file] if added.file else ())]
    files = (weights, *(path for path in told if path.is_file()))
    return Description(
        "ctranslate2",
        dims,
        files,
        heads_of(config.get("alignment_heads")),
        None if suppressed is None else tuple(i for i in suppressed if 0 <= i < embedding[0]),
        added.tokens,
    )


def read(folder: Path, dims: ModelDims, added: Sequence[AddedToken] = ()) -> "dict[str, Tensor]":
    """The weights by openai-whisper's names; quantized ones as float32.

    Raises:
        ModelError: the file is damaged.
    """
    import torch

    weights = folder / WEIGHTS_FILE
    variables = _table(weights)
    content = torch.from_file(str(weights), size=weights.stat().st_size, dtype=torch.uint8)

    def tensor(name: str) -> "Tensor":
        variable = variables[name]
        end = variable.offset_bytes + variable.size_bytes
        # Copied: torch wants numbers aligned, and in the file they follow names of any length.
        data = content[variable.offset_bytes : end].clone()
        value = data.view(getattr(torch, _TYPES[variable.kind])).reshape(variable.shape)
        scale_name = f"{name}_scale"
        if scale_name not in variables:
            return value
        scale = tensor(scale_name).float()
        return value.float() / scale.reshape(*scale.shape, *[1] * (value.ndim - scale.ndim))

    state: dict[str, Tensor] = {}
    for source, targets in _renamed(variables):
        whole = tensor(source)
        parts = whole.chunk(len(targets)) if len(targets) > 1 else (whole,)
        state.update((n, p.contiguous()) for n, p in zip(targets, parts, strict=True) if n)
    embedding = state["decoder.token_embedding.weight"]
    state["decoder.token_embedding.weight"] = added_tokens.arranged(embedding, dims, added)
    return state


_FUSED = {
    "self_attention/linear_0": ("attn.query", "attn.key", "attn.value"),
    "self_attention/linear_1": ("attn.out",),
    "attention/linear_0": ("cross_attn.query",),
    "attention/linear_1": ("cross_attn.key", "cross_attn.value"),
    "attention/linear_2": ("cross_attn.out",),
    "ffn/linear_0": ("mlp.0",),
    "ffn/linear_1": ("mlp.2",),
    "self_attention/layer_norm": ("attn_ln",),
    "attention/layer_norm": ("cross_attn_ln",),
    "ffn/layer_norm": ("mlp_ln",),
}
_OUTSIDE_BLOCKS = {
    "encoder/conv1": "encoder.conv1",
    "encoder/conv2": "encoder.conv2",
    "encoder/layer_norm": "encoder.ln_post",
    "decoder/layer_norm": "decoder.ln",
}
_WHOLE = {
    "encoder/position_encodings/encodings": "encoder.positional_embedding",
    "decoder/position_encodings/encodings": "decoder.positional_embedding",
    "decoder/embeddings/weight": "decoder.token_embedding.weight",
}
_KINDS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


def _renamed(variables: dict[str, _Variable]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each variable that holds weights, and openai-whisper's names of its parts ("" for none)."""
    for name in variables:
        if name in _WHOLE:
            yield name, (_WHOLE[name],)
            continue
        place, _, kind = name.rpartition("/")
        if kind not in _KINDS:
            continue
        if place in _OUTSIDE_BLOCKS:
            yield name, (f"{_OUTSIDE_BLOCKS[place]}.{_KINDS[kind]}",)
            continue
        tower, _, rest = place.partition("/layer_")
        number, _, part = rest.partition("/")
        if part in _FUSED:
            names = [f"{tower}.blocks.{number}.{p}.{_KINDS[kind]}" for p in _FUSED[part]]
            # Whisper's keys have no bias; the zeros that stand for it are left out.
            yield name, tuple("" if n.endswith("attn.key.bias") else n for n in names)


def _openai_shapes(variables: dict[str, _Variable]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for source, targets in _renamed(variables):
        shape = variables[source].shape
        for target in filter(None, targets):
            shapes[target] = (shape[0] // len(targets), *shape[1:]) if shape else shape
    return shapes


def _layers(variables: dict[str, _Variable], tower: str) -> int:
    numbers = [n.split("/")[1] for n in variables if n.startswith(f"{tower}/layer_")]
    return len({name for name in numbers if name != "layer_norm"})


def _number(path: Path, variable: _Variable) -> int:
    with path.open("rb") as file:
        file.seek(variable.offset_bytes)
        return int.from_bytes(file.read(variable.size_bytes), "little", signed=True)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, OSError):
        config = None
    if not isinstance(config, dict):
        raise unusable(path, translated("it is no JSON"))
    return config


def _table(path: Path) -> dict[str, _Variable]:
    size_bytes = path.stat().st_size
    try:
        with path.open("rb") as file:
            (version,) = _unpack(file, "<I")
            if not 2 <= version <= _NEWEST_VERSION:
                raise unusable(path, translated("it is no CTranslate2 model of versions 2 to 6"))
            spec = _string(file)
            _unpack(file, "<I")  # the revision of the spec
            if spec != "WhisperSpec":
                raise unusable(
                    path,
                    translated("it holds {kind!r}, not Whisper").format(kind=spec[:40]),
                    translated("give a Whisper model"),
                )
            (count,) = _unpack(file, "<I")
            variables: dict[str, _Variable] = {}
            for _ in range(count):
                name = _string(file)
                (rank,) = _unpack(file, "<B")
                shape = _unpack(file, f"<{rank}I")
                kind, data_bytes = _unpack(file, "<BI")
                if kind > _LARGEST_TYPE:
                    raise unusable(
                        path,
                        translated("numbers of type {kind} are not known").format(kind=kind),
                        translated("convert it anew"),
                    )
                items = 1
                for length in shape:
                    items *= length
                if items * _ITEM_BYTES[kind] != data_bytes:
                    raise struct.error
                variables[name] = _Variable(shape, kind, file.tell(), data_bytes)
                if file.seek(data_bytes, 1) > size_bytes:
                    raise struct.error
            return variables
    except (struct.error, UnicodeDecodeError, OSError):
        raise unusable(path, translated("it is cut short or damaged")) from None


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "<H")
    return file.read(length).rstrip(b"\0").decode()
