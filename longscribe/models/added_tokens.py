"""Tokens that a fine-tune has behind Whisper's own, and where the engine keeps them.

Whatever decodes Whisper takes ids below `<|endoftext|>` for text and those from `<|0.00|>` on for
times. Stored models have added tokens behind the times; so in the engine's matrix their rows come
before `<|endoftext|>`, and everything from there on moves up. Only tokens that stand for text are
kept: Whisper's decoding would not know when to choose a special one, and rows without a text only
make the matrix a round size.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from longscribe.models.checkpoint import ModelDims

if TYPE_CHECKING:
    from torch import Tensor

_TOKENIZER: Final = "tokenizer.json"
_ADDED: Final = "added_tokens.json"
_VOCABULARIES: Final = ("vocabulary.json", "vocabulary.txt")
_MULTILINGUAL_TEXT_TOKENS, _ENGLISH_TEXT_TOKENS = 50257, 50256  # <|endoftext|> follows them


class AddedToken(NamedTuple):
    """A token besides Whisper's own: its id in the stored model, and the text it stands for."""

    id: int
    text: str


class AddedTokens(NamedTuple):
    """What a folder says of tokens behind Whisper's own, and the file that says it."""

    tokens: tuple[AddedToken, ...] = ()
    file: Path | None = None


def text_tokens(dims: ModelDims) -> int:
    """How many of Whisper's own tokens stand for text: they are the first ones."""
    return _MULTILINGUAL_TEXT_TOKENS if dims.is_multilingual else _ENGLISH_TEXT_TOKENS


def of_hugging_face(folder: Path, own: int, stored: int) -> AddedTokens:
    """The text tokens of a folder with ids from `own` to `stored`.

    The tokenizer's file tells which are special; the older list of added tokens does not.
    """
    for name in (_TOKENIZER, _ADDED):
        content = _json(folder / name)
        if not isinstance(content, dict):
            continue
        if name == _TOKENIZER:
            listed = [
                (one.get("id"), one.get("content"))
                for one in content.get("added_tokens") or ()
                if isinstance(one, dict) and not one.get("special")
            ]
        else:
            listed = [(id_, text) for text, id_ in content.items()]
        if tokens := _chosen(listed, own, stored):
            return AddedTokens(tokens, folder / name)
    return AddedTokens()


def of_ctranslate2(folder: Path, own: int, stored: int) -> AddedTokens:
    """The text tokens of a folder with ids from `own` to `stored`; its vocabulary names all."""
    for name in _VOCABULARIES:
        path = folder / name
        if not path.is_file():
            continue
        listed = _json(path) if name.endswith(".json") else _lines(path)
        if isinstance(listed, list):
            tokens = _chosen(list(enumerate(listed)), own, stored)
            return AddedTokens(tokens, path if tokens else None)
    return AddedTokens()


def to_engine(id_: int, dims: ModelDims, added: Sequence[AddedToken]) -> int | None:
    """A stored token's id in the engine; None for one that is not kept."""
    texts = text_tokens(dims)
    if id_ < texts:
        return id_
    if id_ < dims.n_vocab:
        return id_ + len(added)
    return next((texts + i for i, token in enumerate(added) if token.id == id_), None)


def to_stored(id_: int, dims: ModelDims, added: Sequence[AddedToken]) -> int:
    """The id of one of the engine's tokens in the stored model."""
    texts = text_tokens(dims)
    if id_ < texts:
        return id_
    return added[id_ - texts].id if id_ < texts + len(added) else id_ - len(added)


def arranged(embedding: "Tensor", dims: ModelDims, added: Sequence[AddedToken]) -> "Tensor":
    """The engine's rows of a stored token embedding (tokens, width), in its order."""
    import torch

    if not added:
        return embedding[: dims.n_vocab].contiguous()
    texts = text_tokens(dims)
    rows = [*range(texts), *(token.id for token in added), *range(texts, dims.n_vocab)]
    return embedding[torch.tensor(rows)]


def _chosen(listed: Sequence[tuple[Any, Any]], own: int, stored: int) -> tuple[AddedToken, ...]:
    found = {
        id_: AddedToken(id_, text)
        for id_, text in listed
        if isinstance(id_, int) and own <= id_ < stored and isinstance(text, str) and text
    }
    texts = [found[id_] for id_ in sorted(found) if not _is_special(found[id_].text)]
    return tuple({token.text: token for token in reversed(texts)}.values())[::-1]


def _is_special(text: str) -> bool:
    """Whether a token is named as Whisper's control tokens are; converters fill up with those."""
    return text.startswith("<|") and text.endswith("|>")


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").split("\n")
