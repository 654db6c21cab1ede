"""The user's names and terms, made likelier where the model already half hears them.

A word's letters are a path in a trie, and a token that goes on along it is raised: by a part of the
word's whole bonus, as large as the part of the word that is then written. A token that leaves the
path gets nothing, so that what was given for the beginning is taken back: what speech recognition
calls contextual biasing by shallow fusion. It works on letters instead of tokens, because a name
that the model does not know is spelt in whatever pieces it
chooses. Nothing is put into the prompt, from where openai-whisper and faster-whisper may tell it as
if it were said (https://github.com/SYSTRAN/faster-whisper/issues/1356).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from whisper.tokenizer import Tokenizer

# What a word gains in all, in nats: so much for each token that it is usually spelt in, as each is
# a chance to go astray.
_PER_TOKEN: Final = 3.0
_AT_MOST: Final = 15.0
_SURE_BYTES: Final = 3  # a space and one letter may begin anything
_LONGEST_TOKEN_BYTES: Final = 24  # the vocabulary's longer ones are rows of spaces and signs


class Bias(NamedTuple):
    """What words do to the next token.

    Attributes:
        tokens: that go on with a word, or begin one.
        bonuses: of each of them.
        held: what a word got that is under way; any other token loses it.
    """

    tokens: npt.NDArray[np.int64]
    bonuses: npt.NDArray[np.float32]
    held: float

    def of(self, token: int) -> float:
        """What a token gains, below zero where a word is left."""
        (places,) = np.nonzero(self.tokens == token)
        return (float(self.bonuses[places[0]]) if len(places) else 0.0) - self.held


@dataclass(slots=True, eq=False)
class _Node:
    """A place in the trie: the bytes on the way to it are the beginning of a word, or all of it.

    Attributes:
        next: by the next byte.
        bonus: for having come this far.
        kept: that of the longest word on the way, which is whole and keeps it.
        continuations: tokens that go on from here and what each gains, once known.
    """

    next: dict[int, "_Node"] = field(default_factory=dict)
    bonus: float = 0.0
    kept: float = 0.0
    continuations: dict[int, float] | None = None


class Hotwords:
    """The trie of a run's words, for a model's tokens.

    Args:
        words: at least one.
        tokenizer: of the model.
    """

    def __init__(self, words: Iterable[str], tokenizer: Tokenizer) -> None:
        encoding = tokenizer.encoding
        self._text_end = tokenizer.eot
        self._ids: Mapping[bytes, int] = encoding._mergeable_ranks
        self._bytes = {id_: text for text, id_ in self._ids.items()}
        self._root = _Node()
        longest = 0
        for word in words:
            # Tokens begin with the space before a word, but in scripts that are written without.
            for text in (f" {word}", word) if _is_uncased(word) else (f" {word}",):
                tokens = len(encoding.encode_ordinary(text))
                longest = max(longest, len(text.encode()))
                self._add(text.encode(), min(_PER_TOKEN * tokens, _AT_MOST))
        _keep(self._root, 0.0)
        self._reach = longest  # tokens back at which a word may have begun: each has a byte

    def bias(self, sampled: Sequence[int]) -> Bias:
        """What makes words likelier in the place of the next token.

        Args:
            sampled: the row's tokens so far, the prompt left out.
        """
        found = dict(self._continuations(self._root))
        begun = self._begun(sampled)
        for node in begun:
            for token, bonus in self._continuations(node).items():
                found[token] = max(bonus, found.get(token, 0.0))
        return Bias(
            np.fromiter(found.keys(), np.int64, len(found)),
            np.fromiter(found.values(), np.float32, len(found)),
            max((node.bonus - node.kept for node in begun), default=0.0),
        )

    def _add(self, spelt: bytes, bonus: float) -> None:
        node = self._root
        for place, byte in enumerate(spelt, start=1):
            node = node.next.setdefault(byte, _Node())
            if place >= _SURE_BYTES:
                node.bonus = max(node.bonus, bonus * place / len(spelt))
        node.bonus = node.kept = max(node.bonus, bonus)  # also of a word of one letter

    def _begun(self, sampled: Sequence[int]) -> list[_Node]:
        """Where the words are that may be under way."""
        start = len(sampled)
        while start > max(0, len(sampled) - self._reach) and sampled[start - 1] < self._text_end:
            start -= 1
        nodes: list[_Node] = []
        for token in sampled[start:]:
            text = self._bytes.get(token)  # None for a token that a fine-tune added
            moved = (_walked(node, text) for node in (*nodes, self._root)) if text else ()
            nodes = [node for node in moved if node is not None]
        return nodes

    def _continuations(self, node: _Node) -> Mapping[int, float]:
        if node.continuations is None:
            node.continuations = {
                token: after.bonus - node.kept for token, after in self._found_from(node, b"")
            }
        return node.continuations

    def _found_from(self, node: _Node, text: bytes) -> Iterator[tuple[int, _Node]]:
        if node.bonus and (token := self._ids.get(text)) is not None:
            yield token, node
        if len(text) < _LONGEST_TOKEN_BYTES:
            for byte, after in node.next.items():
                yield from self._found_from(after, text + bytes((byte,)))


def _is_uncased(word: str) -> bool:
    """Whether a word is in a script without capitals: most of those without spaces are."""
    return word[0].isalpha() and word[0].lower() == word[0].upper()


def _keep(node: _Node, before: float) -> None:
    node.kept = node.kept or before
    for after in node.next.values():
        _keep(after, node.kept)


def _walked(node: _Node, text: bytes) -> _Node | None:
    for byte in text:
        after = node.next.get(byte)
        if after is None:
            return None
        node = after
    return node
