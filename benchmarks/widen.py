"""Widens the demo checkpoint to an official size that computes the same function.

`python -m benchmarks.widen base` writes benchmarks/results/models/base.pt, a checkpoint like the
official one in every dimension whose logits are those of longscribe/models/demo.pt. Speed, memory
and word error rate can so be measured together at real sizes, without a download, and the same
weights can be given to every program.

How, for a width k times the demo's: every output of a layer is there k times, and every weight that
reads an input that is there k times is divided by k, so each copy has the value of the original.
LayerNorm does not change by repetition, heads of 64 repeat whole. The output layer is the token
embedding, which sums k copies: the decoder's last LayerNorm is divided by k. More layers are copies
of the last one whose two output layers are zero: they compute everything and add nothing.

Sizes of 128 mels and 51,866 tokens (turbo, large-v3 and its distillates) hear by weights that are
interpolated between the mels' frequencies, so they compute nearly the same only; with fewer
layers than the demo's they compute something else.
"""

import argparse
import os
import re
from pathlib import Path
from typing import Any

import torch

from benchmarks.sizes import SIZES, Size

MODELS_FOLDER = Path("benchmarks/results/models")
DEMO_CHECKPOINT = Path("longscribe/models/demo.pt")
WIDENABLE = tuple(name for name, size in SIZES.items() if size.mels == 80)  # the demo's mels
_CANTONESE = 50358  # the token that large-v3 and its descendants have besides
State = dict[str, torch.Tensor]

_BLOCK = re.compile(r"(encoder|decoder)\.blocks\.(\d+)\.(.+)")
# What a block adds to its input; without them it adds nothing.
_RESIDUAL = re.compile(r"(attn|cross_attn)\.out\.|mlp\.2\.")


def widen(checkpoint: dict[str, Any], size: Size) -> dict[str, Any]:
    """The checkpoint in another size.

    Raises:
        ValueError: the size is no multiple of the checkpoint's width, or has other contexts.
    """
    dims, target = checkpoint["dims"], size.dims
    factor, rest = divmod(size.width, dims["n_audio_state"])
    if rest or target["n_audio_head"] != factor * dims["n_audio_head"]:
        raise ValueError(f"width {size.width} is no multiple of {dims['n_audio_state']}")
    for name in ("n_audio_ctx", "n_text_ctx"):
        if dims[name] != target[name]:
            raise ValueError(f"{name} is {dims[name]}, wanted {target[name]}")
    narrow = _with_mels(checkpoint["model_state_dict"], target["n_mels"])
    narrow = _with_cantonese(narrow, target["n_vocab"])
    wide = {name: _widen_tensor(name, tensor.float(), factor) for name, tensor in narrow.items()}
    state = _with_more_blocks(wide, "encoder", size.encoder_layers)
    state = _with_more_blocks(state, "decoder", size.decoder_layers)
    return {"dims": target, "model_state_dict": {name: t.half() for name, t in state.items()}}


def _with_mels(state: State, mels: int) -> State:
    """The first convolution for another number of mels."""
    weight = state["encoder.conv1.weight"].float()
    if weight.shape[1] == mels:
        return state
    shares = torch.zeros(weight.shape[1], mels)
    for i in range(len(shares)):
        # Both are evenly spaced by pitch, from 0 to 8000 Hz.
        place = (i + 1) * (mels + 1) / (len(shares) + 1) - 1
        below = min(int(place), mels - 2)
        shares[i, below], shares[i, below + 1] = below + 1 - place, place - below
    return {**state, "encoder.conv1.weight": torch.einsum("oik,im->omk", weight, shares)}


def _with_cantonese(state: State, vocabulary: int) -> State:
    name = "decoder.token_embedding.weight"
    embedding = state[name]
    if len(embedding) == vocabulary:
        return state
    added = embedding[_CANTONESE - 1 : _CANTONESE]  # that of the language before
    return {**state, name: torch.cat([embedding[:_CANTONESE], added, embedding[_CANTONESE:]])}


def _widen_tensor(name: str, tensor: torch.Tensor, factor: int) -> torch.Tensor:
    if name.endswith(("positional_embedding", "token_embedding.weight")):
        return tensor.repeat(1, factor)
    if name in ("decoder.ln.weight", "decoder.ln.bias"):
        return tensor.repeat(factor) / factor
    if tensor.ndim == 1:
        return tensor.repeat(factor)
    inputs = 1 if name == "encoder.conv1.weight" else factor  # mels are there once
    return tensor.repeat(factor, inputs, *[1] * (tensor.ndim - 2)) / inputs


def _with_more_blocks(state: State, part: str, layers: int) -> State:
    blocks: dict[int, State] = {}
    for name, tensor in state.items():
        match = _BLOCK.fullmatch(name)
        if match and match[1] == part:
            blocks.setdefault(int(match[2]), {})[match[3]] = tensor
    if len(blocks) > layers:
        return _with_fewer_blocks(state, part, blocks, layers)
    more = {
        f"{part}.blocks.{number}.{name}": torch.zeros_like(t) if _RESIDUAL.match(name) else t
        for number in range(len(blocks), layers)
        for name, t in blocks[max(blocks)].items()
    }
    return state | more


def _with_fewer_blocks(state: State, part: str, blocks: dict[int, State], layers: int) -> State:
    """Evenly spaced blocks alone, as distil-whisper begins; what they compute is another thing."""
    kept = torch.linspace(0, len(blocks) - 1, layers).round().int().tolist()
    fewer = {
        f"{part}.blocks.{place}.{name}": tensor
        for place, number in enumerate(kept)
        for name, tensor in blocks[number].items()
    }
    outside = {n: t for n, t in state.items() if not n.startswith(f"{part}.blocks.")}
    return outside | fewer


def widened(size: str, folder: Path = MODELS_FOLDER) -> Path:
    """The path of the demo checkpoint in an official size; written on the first call.

    The file is in float16 like the official ones.
    """
    path = folder / f"{size}.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = torch.load(DEMO_CHECKPOINT, map_location="cpu", weights_only=True)
        partial = path.with_suffix(".part")
        torch.save(widen(checkpoint, SIZES[size]), partial)
        os.replace(partial, path)
    return path


def main() -> None:
    """Widen to the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", choices=WIDENABLE)
    for size in parser.parse_args().sizes:
        path = widened(size)
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
