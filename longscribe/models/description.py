"""What a model says of itself, whichever form it is held in."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from longscribe.errors import ModelError
from longscribe.models.added_tokens import AddedToken
from longscribe.models.checkpoint import ModelDims
from longscribe.wording.catalog import translated

Form = Literal["openai", "huggingface", "ctranslate2", "ggml"]

AlignmentHeads = tuple[tuple[int, int], ...]  # (layer, head)


class Description(NamedTuple):
    """A model on this machine.

    Attributes:
        form: how it is stored.
        dims: of its network; the vocabulary is Whisper's own, without added tokens.
        files: all that its text depends on, the weights first.
        alignment_heads: whose attention follows the words; None where the files do not say.
        suppress_tokens: ids never sampled; None where the files do not say (openai-whisper's then).
        added_tokens: that stand for text, behind Whisper's own.
    """

    form: Form
    dims: ModelDims
    files: tuple[Path, ...]
    alignment_heads: AlignmentHeads | None = None
    suppress_tokens: tuple[int, ...] | None = None
    added_tokens: tuple[AddedToken, ...] = ()


def unusable(path: Path, why: str, remedy: str = "") -> ModelError:
    """The error for a model that cannot be used, in one sentence.

    Args:
        path: of the model.
        why: in the reader's language.
        remedy: the same; to copy it again where nothing else is known.
    """
    return ModelError(
        translated("the model {path!r} cannot be used: {why}; {remedy}.").format(
            path=str(path), why=why, remedy=remedy or translated("copy it again")
        )
    )


def heads_of(value: Any) -> AlignmentHeads | None:
    """Alignment heads as JSON files list them, [[layer, head], ...]."""
    return tuple((int(layer), int(head)) for layer, head in value) if value else None


def standard_vocabulary(tokens: int, languages: int | None) -> int:
    """How many of a model's tokens are Whisper's own: the first ones.

    A fine-tune may have more, behind them: tokens that somebody added (see `added_tokens`), or rows
    that only make the matrix a round size, which are never chosen.

    Args:
        tokens: of the model.
        languages: that it has a token for; None where its files do not say.
    """
    if languages is None:
        return min(tokens, 51866) if tokens <= 51866 else 51865
    return min(tokens, {0: 51864, 100: 51866}.get(languages, 51865))
