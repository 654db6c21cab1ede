"""Whisper's multilingual vocabulary in the forms other programs read."""

import base64
from pathlib import Path
from typing import NamedTuple

import whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

TIMESTAMPS = 1501  # 0.00 to 30.00 s in steps of 0.02 s


class Vocabulary(NamedTuple):
    """All tokens by id: those of the text as bytes, then the special ones by name."""

    text: tuple[bytes, ...]
    special: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Every token as a string, bytes spelled as GPT-2 spells them."""
        letters = byte_letters()
        return ["".join(letters[byte] for byte in token) for token in self.text] + [*self.special]


def read_vocabulary() -> Vocabulary:
    """The multilingual vocabulary that is installed with openai-whisper."""
    assets = Path(whisper.__file__).with_name("assets")
    ranks: dict[bytes, int] = {}
    for line in (assets / "multilingual.tiktoken").read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    text = tuple(sorted(ranks, key=lambda token: ranks[token]))
    ids = multilingual_tokenizer().special_tokens
    special = tuple(sorted(ids, key=lambda name: ids[name]))
    return Vocabulary(text, special)


def multilingual_tokenizer() -> Tokenizer:
    """openai-whisper's tokenizer of its models before large-v3."""
    return get_tokenizer(multilingual=True, num_languages=99)


def byte_letters() -> dict[int, str]:
    """GPT-2's letter for every byte: itself if it is printable, or one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    letters = {byte: chr(byte) for byte in printable}
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


def merge_of(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two tokens that byte-pair encoding joins last into this one; None for a single byte.

    A rank list has no merge list: it is found again by encoding the token with the lower ranks.
    """
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 2:
        pairs = [parts[at] + parts[at + 1] for at in range(len(parts) - 1)]
        best = min(range(len(pairs)), key=lambda at: ranks.get(pairs[at], len(ranks)))
        if pairs[best] not in ranks:
            return None
        parts[best : best + 2] = [pairs[best]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def write_tokenizer_json(path: Path) -> None:
    """Write the vocabulary as a file of the `tokenizers` library, which faster-whisper reads."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = read_vocabulary()
    letters = byte_letters()
    ranks = {token: rank for rank, token in enumerate(vocabulary.text)}
    spelled = {token: "".join(letters[byte] for byte in token) for token in vocabulary.text}
    found = [merge_of(token, ranks) for token in vocabulary.text]
    merges = [(spelled[pair[0]], spelled[pair[1]]) for pair in found if pair]
    tokenizer = Tokenizer(models.BPE({spelled[token]: ranks[token] for token in ranks}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(name, special=True) for name in vocabulary.special])
    tokenizer.save(str(path))
