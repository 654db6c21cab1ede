"""One copy of the weights on a machine: converted once, then mapped by every worker.

A checkpoint holds float16 numbers inside a zip. Each worker that loads it for itself converts and
keeps its own copy; here the converted weights lie in a cache file named by the checkpoint's digest,
and workers map it, so the kernel keeps one copy for all of them.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.serialization import config as serialization
from whisper.model import AudioEncoder, ModelDimensions, TextDecoder, Whisper

from longscribe.cache.code import sources_sha256
from longscribe.cache.folder import CACHE_VARIABLE, cache_folder
from longscribe.engine.packed_linear import packed, quantized, unpacked
from longscribe.engine.pair_gemm import PairTiles, multiplied_in_pairs, pair_tiled
from longscribe.engine.processor import (
    has_byte_products,
    has_vectors_of_pairs,
    instructions,
    lacks_byte_products,
)
from longscribe.engine.vnni_gemm import Tiles, multiplied, tiled
from longscribe.errors import ModelError
from longscribe.models import forms
from longscribe.models.checkpoint import ModelDims
from longscribe.models.weights import ModelSpec
from longscribe.runtime.worker_progress import advance
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

Stored = Literal["float32", "int8"]

# What decides what is in a file.
_SOURCES = (
    *("engine/mapped_weights.py", "engine/packed_linear.py", "engine/vnni_gemm.py"),
    *("engine/pair_gemm.py", "engine/processor.py"),
    *("models/added_tokens.py", "models/ctranslate2.py", "models/forms.py", "models/ggml.py"),
    "models/huggingface.py",
)

# Alignment in the file: of a page, so that a mapped matrix starts a page of its own.
_ALIGNMENT_BYTES = 4096


class TiledLinear(NamedTuple):
    """An int8 linear layer of the decoder, as `byte_products` reads it; `product` as above.

    Attributes:
        tiles: of its weights.
        bias: (out,) float32; not added by `product`.
    """

    tiles: Tiles
    bias: Tensor

    @property
    def rows(self) -> torch.dtype:
        """Of the codes that it multiplies."""
        return torch.uint8

    def product(self, codes: Tensor) -> Tensor:
        """The product without bias, times the outputs' scales; codes stand around `ZERO_CODE`."""
        return torch.from_numpy(multiplied(codes.numpy(), self.tiles, len(self.bias)))


class PairLinear(NamedTuple):
    """An int8 linear layer as `pair_gemm` reads it.

    Attributes:
        tiles: of its weights.
        bias: (out,) float32; not added by `product`.
    """

    tiles: PairTiles
    bias: Tensor

    @property
    def rows(self) -> torch.dtype:
        """Of the codes that it multiplies."""
        return torch.int16

    def product(self, codes: Tensor) -> Tensor:
        """The product with rows (n, in) int16, times the outputs' scales, without bias."""
        return torch.from_numpy(multiplied_in_pairs(codes.numpy(), self.tiles, len(self.bias)))


def mapped(spec: ModelSpec, stored: Stored) -> dict[str, Any]:
    """The model's weights, mapped from the cache file, which is made first where it is missing.

    Two processes that need the same file make it once: the second waits for the first.

    Args:
        spec: the model.
        stored: what the linear layers are kept as.

    Returns:
        name in the checkpoint -> tensor; without the final `.weight` -> `PackedLinear` or its like.

    Raises:
        ModelError: the checkpoint cannot be loaded, or the cache cannot be written.
    """
    path = cache_file(spec, stored)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_suffix(".lock")):
            content = _open(path)
            if content is None:
                _convert(spec, stored, path)
                content = torch.load(path, mmap=True, weights_only=True)
        _read_ahead(path)
    except OSError as error:
        raise ModelError(
            translated(
                "the converted weights cannot be kept in {folder}: {reason}; "
                "set {variable} to a folder that can be written."
            ).format(folder=path.parent, reason=told(error), variable=CACHE_VARIABLE)
        ) from None
    return {name: _restored(value) for name, value in content.items()}


def cache_file(spec: ModelSpec, stored: Stored) -> Path:
    """The file of a model's converted weights; its name holds all that its content depends on."""
    parts = [spec.sha256[:20], stored, sources_sha256(_SOURCES)[:12]]
    if stored == "int8":
        # oneDNN's layout is its own affair: it may differ between versions and instruction sets.
        parts += [f"torch{torch.__version__}", instructions()]
        parts += [_form_of(part).__name__.lstrip("_") for part in ("encoder", "decoder")]
    return cache_folder() / "weights" / ("-".join(parts).replace("+", "-") + ".pt")


@contextmanager
def _alone(lock_path: Path) -> Iterator[None]:
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # gone with its process, however that ends
        yield


def _open(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = torch.load(path, mmap=True, weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, OSError, EOFError, ValueError):
        path.unlink(missing_ok=True)  # cut short by a full disk or a crash of the machine
        return None
    return content


def _read_ahead(path: Path) -> None:
    """Have the kernel read a file into its memory meanwhile: the first window needs all of it."""
    # A hint: where it cannot be given, or the cache is being cleaned, reading goes on without.
    with suppress(OSError), path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _convert(spec: ModelSpec, stored: Stored, path: Path) -> None:
    try:
        weights = forms.read(spec)
        _check_complete(spec, weights)
        content = _float32(weights) if stored == "float32" else _int8(weights)
    except (RuntimeError, KeyError, OSError) as error:
        first_line = str(error).splitlines()[0]
        raise ModelError(
            translated("the checkpoint {path!r} cannot be loaded: {reason}").format(
                path=str(spec.path), reason=first_line
            )
        ) from None
    part = path.with_suffix(f".{os.getpid()}.part")
    alignment = serialization.save.storage_alignment
    try:
        serialization.save.storage_alignment = _ALIGNMENT_BYTES
        torch.save(content, part)
        os.replace(part, path)
    finally:
        serialization.save.storage_alignment = alignment
        part.unlink(missing_ok=True)


def unfilled(dims: ModelDims, added_tokens: int = 0) -> Whisper:
    """openai-whisper's own modules without weights: their __init__ would fill in random numbers.

    Args:
        dims: of the model.
        added_tokens: rows of the token embedding besides Whisper's own.
    """
    model = Whisper.__new__(Whisper)
    torch.nn.Module.__init__(model)
    model.dims = ModelDimensions(**dims.model_dump())
    with torch.device("meta"):
        model.encoder = AudioEncoder(
            *(dims.n_mels, dims.n_audio_ctx, dims.n_audio_state),
            *(dims.n_audio_head, dims.n_audio_layer),
        )
        model.decoder = TextDecoder(
            *(dims.n_vocab + added_tokens, dims.n_text_ctx, dims.n_text_state),
            *(dims.n_text_head, dims.n_text_layer),
        )
    return model


def _check_complete(spec: ModelSpec, weights: Mapping[str, Tensor]) -> None:
    empty = unfilled(spec.dims, len(spec.added_tokens))
    for name, wanted in empty.state_dict().items():
        if name not in weights or weights[name].shape != wanted.shape:
            raise ModelError(
                translated(
                    "the checkpoint {path!r} cannot be loaded: {name} is missing or not of the "
                    "size its dimensions say; copy the file again."
                ).format(path=str(spec.path), name=name)
            )


def _float32(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.to(torch.float32).contiguous() for name, weight in weights.items()}


def _int8(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Matrices of the linear layers packed, those that are read together joined; the rest as is."""
    content: dict[str, Any] = {}
    taken: set[str] = set()

    def pack(target: str, *sources: str) -> None:
        advance()
        parts = [weights[f"{source}.weight"].float() for source in sources]
        biases = [
            weights[f"{source}.bias"].float()
            if f"{source}.bias" in weights
            else torch.zeros(len(part))
            for source, part in zip(sources, parts, strict=True)
        ]
        if sources[0].endswith("query"):  # the 1 / sqrt(64) of attention: a power of two, so exact
            parts[0], biases[0] = parts[0] / 8, biases[0] / 8
        content[target] = _form_of(target)(torch.cat(parts), torch.cat(biases))
        taken.update(f"{source}.{what}" for source in sources for what in ("weight", "bias"))

    prefixes = sorted({name.rsplit(".attn.", 1)[0] for name in weights if ".attn." in name})
    for block in prefixes:
        pack(f"{block}.attn.qkv", *(f"{block}.attn.{part}" for part in ("query", "key", "value")))
        pack(f"{block}.attn.out", f"{block}.attn.out")
        if f"{block}.cross_attn.query.weight" in weights:
            pack(f"{block}.cross_attn.query", f"{block}.cross_attn.query")
            pack(
                f"{block}.cross_attn.kv",
                *(f"{block}.cross_attn.{part}" for part in ("key", "value")),
            )
            pack(f"{block}.cross_attn.out", f"{block}.cross_attn.out")
        pack(f"{block}.mlp.0", f"{block}.mlp.0")
        pack(f"{block}.mlp.2", f"{block}.mlp.2")
    pack("logits", "decoder.token_embedding")
    for name, weight in weights.items():
        if name == "decoder.token_embedding.weight":
            content[name] = weight.to(torch.float16).contiguous()  # looked up, not multiplied
        elif name not in taken:
            content[name] = weight.to(torch.float32).contiguous()
    return content


def _form_of(target: str) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """How a linear layer is kept: as this processor multiplies it fastest.

    oneDNN, made for large products, takes twice as long for a decoder's step of up to 12 rows, and
    no less until there are some 40, also with a matrix unit (docs/benchmarks.md).
    """
    if lacks_byte_products():
        return _pair_tiled
    if not target.startswith(("decoder", "logits")) or target.endswith("cross_attn.kv"):
        return packed
    if has_byte_products():
        return _tiled
    return _pair_tiled if has_vectors_of_pairs() else packed


def _tiled(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    codes, scales = quantized(weight)
    tiles = tiled(codes.numpy(), scales.numpy())._asdict()
    return {**{name: torch.from_numpy(part) for name, part in tiles.items()}, "bias": bias}


def _pair_tiled(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    codes, scales = quantized(weight)
    tiles = pair_tiled(codes.numpy(), scales.numpy())._asdict()
    return {**{name: torch.from_numpy(part) for name, part in tiles.items()}, "bias": bias}


def _restored(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value
    if "packed" not in value:
        if "offsets" not in value:
            pairs = PairTiles(*(value[name].numpy() for name in PairTiles._fields))
            return PairLinear(pairs, value["bias"])
        tiles = Tiles(*(value[name].numpy() for name in Tiles._fields))
        return TiledLinear(tiles, value["bias"])
    return unpacked(value)
