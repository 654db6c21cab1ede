"""openai-whisper's tokenizer, also for models that have more tokens than Whisper's own."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import tiktoken
from whisper.tokenizer import Tokenizer, get_tokenizer

from longscribe.models.added_tokens import text_tokens
from longscribe.models.checkpoint import ModelDims


class _Extended(tiktoken.Encoding):
    """Whisper's encoding with added tokens: in a prompt they are found before all others."""

    added: frozenset[str] = frozenset()

    def encode(
        self,
        text: str,
        *,
        allowed_special: Any = None,
        disallowed_special: Collection[str] | str = (),
    ) -> list[int]:
        """As in tiktoken, but that added tokens are taken for what they are."""
        allowed = self.added if allowed_special is None else allowed_special
        return super().encode(text, allowed_special=allowed, disallowed_special=())


@cache
def tokenizer_of(
    dims: ModelDims,
    added: tuple[str, ...] = (),
    language: str | None = None,
    task: str | None = None,
) -> Tokenizer:
    """The tokenizer of a model, with the ids that the engine has (models/added_tokens.py).

    Args:
        dims: of the model.
        added: texts of the tokens besides Whisper's own.
        language: a code; None for a prompt without it.
        task: transcribe or translate; None for a prompt without it.
    """
    plain = get_tokenizer(
        dims.is_multilingual, num_languages=dims.num_languages, language=language, task=task
    )
    if not added:
        return plain
    return Tokenizer(
        encoding=_extended(plain.encoding, text_tokens(dims), added),
        num_languages=plain.num_languages,
        language=plain.language,
        task=plain.task,
    )


def as_text(prompt: str, tokenizer: Tokenizer) -> str:
    """A prompt in which the names of special tokens are text, as a user means them.

    tiktoken refuses a text with `<|endoftext|>` in it, and openai-whisper encodes prompts so.
    Tokens that a fine-tune was given stay what they are.
    """
    encoding = tokenizer.encoding
    added = encoding.added if isinstance(encoding, _Extended) else frozenset[str]()
    if "<|" in prompt:
        for name in tokenizer.special_tokens.keys() - added:
            prompt = prompt.replace(name, f"< {name[1:]}")
    return prompt


@lru_cache(maxsize=4)
def _extended(encoding: tiktoken.Encoding, texts: int, added: tuple[str, ...]) -> _Extended:
    # As tiktoken's README extends encodings: https://github.com/openai/tiktoken#extending-tiktoken
    special = {name: id_ + len(added) for name, id_ in encoding._special_tokens.items()}
    special |= {text: texts + i for i, text in enumerate(added)}
    extended = _Extended(
        name=f"{encoding.name}+{len(added)}",
        explicit_n_vocab=encoding.n_vocab + len(added),
        pat_str=encoding._pat_str,
        mergeable_ranks=encoding._mergeable_ranks,
        special_tokens=special,
    )
    extended.added = frozenset(added)
    return extended


@contextmanager
def upstream_uses(dims: ModelDims, added: Sequence[str]) -> Iterator[None]:
    """Let openai-whisper's own loop decode with a model's added tokens.

    It makes its tokenizers itself and takes none (https://github.com/openai/whisper/discussions/1824).
    """
    if not added:
        yield
        return

    def get(*_: object, language: str | None = None, task: str | None = None, **__: object) -> Any:
        return tokenizer_of(dims, tuple(added), language, task)

    modules: list[Any] = [sys.modules[name] for name in ("whisper.transcribe", "whisper.decoding")]
    for module in modules:
        module.get_tokenizer = get
    try:
        yield
    finally:
        for module in modules:
            module.get_tokenizer = get_tokenizer
