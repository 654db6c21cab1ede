"""Our rules against openai-whisper's own filters, on logits and histories of every kind."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import whisper
from whisper.decoding import DecodingTask, SuppressTokens
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.decoding.logits_processors import FORBIDDEN, LogitsProcessors
from longscribe.options import DecodingOptions

ZERO = 50364  # <|0.00|> of a multilingual model
TEXT = (1029, 2425, 11, 50256)

# Histories of equal length, as rows of a batch have them.
HISTORIES = {
    "first": [[]] * 4,
    "second": [[ZERO], [ZERO + 50], [ZERO + 1500], [TEXT[0]]],
    "third": [
        [ZERO, TEXT[0]],
        [ZERO, ZERO + 3],
        [TEXT[0], ZERO + 7],
        [TEXT[0], TEXT[1]],
        [ZERO + 1500, TEXT[0]],
    ],
    "a segment and more": [
        [ZERO, *TEXT[:2], ZERO + 90],
        [ZERO, TEXT[0], ZERO + 90, ZERO + 90],
        [ZERO, TEXT[0], ZERO + 90, TEXT[1]],
        [ZERO, TEXT[0], ZERO + 1500, ZERO + 1500],
        [ZERO + 90, TEXT[0], ZERO + 20, ZERO + 20],  # back in time
        [ZERO + 90, TEXT[0], TEXT[1], ZERO + 20],
        [ZERO + 90, ZERO + 80, ZERO + 70, TEXT[0]],
        [ZERO, TEXT[0], TEXT[1], TEXT[2]],
    ],
}


def random_history(random: np.random.Generator, length: int) -> list[int]:
    stamped = random.random(length) < 0.4
    stamps = np.sort(random.integers(0, 1501, length)) + ZERO
    return np.where(stamped, stamps, random.choice(TEXT, length)).tolist()


def random_logits(random: np.random.Generator, rows: int, vocabulary: int) -> np.ndarray:
    """Among them some where time stamps together outweigh every text, and some where not."""
    logits = random.normal(0.0, 3.0, (rows, vocabulary)).astype(np.float32)
    logits[:, ZERO:] += random.uniform(-12.0, 6.0, (rows, 1)).astype(np.float32)
    return logits


def upstream_filtered(
    task: DecodingTask, logits: np.ndarray, histories: Sequence[Sequence[int]]
) -> torch.Tensor:
    tokens = torch.tensor([[*task.initial_tokens, *history] for history in histories])
    filtered = torch.from_numpy(logits.copy())
    for logit_filter in task.logit_filters:
        logit_filter.apply(filtered, tokens)
    return filtered


def check(
    upstream: Whisper,
    tokenizer: Tokenizer,
    histories: Sequence[Sequence[int]],
    random: np.random.Generator,
    suppress_tokens: str = "-1",
) -> list[int]:
    """Compare everything; the tokens that were picked."""
    asked = whisper.DecodingOptions(
        language="en", suppress_tokens=suppress_tokens or [], fp16=False
    )
    task = DecodingTask(upstream, asked)
    if not suppress_tokens:  # upstream then leaves out its filter, special tokens and all
        task.logit_filters.insert(1, SuppressTokens(task._get_suppress_tokens()))
    rules = LogitsProcessors.of(tokenizer, DecodingOptions(suppress_tokens=suppress_tokens))
    logits = random_logits(random, len(histories), upstream.dims.n_vocab)
    theirs = upstream_filtered(task, logits, histories)
    norms = rules.apply(logits, [list(history) for history in histories])
    assert not np.any((logits > FORBIDDEN) != torch.isfinite(theirs).numpy())
    tokens, log_probabilities = rules.pick(logits, norms, 0.0, np.zeros(len(histories), np.float32))
    assert tokens.tolist() == theirs.argmax(dim=-1).tolist()
    expected = theirs.log_softmax(dim=-1)
    assert log_probabilities == pytest.approx(
        expected[torch.arange(len(tokens)), torch.from_numpy(tokens)].numpy(), abs=2e-5
    )
    allowed = torch.isfinite(theirs)
    ours = torch.from_numpy(logits - norms[:, None])
    assert torch.allclose(ours[allowed], expected[allowed], atol=1e-4)
    return tokens.tolist()


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("suppress_tokens", ["-1", "", "50,2425"])
def test_every_history_allows_what_upstream_allows(
    upstream: Whisper, tokenizer: Tokenizer, name: str, suppress_tokens: str
) -> None:
    check(upstream, tokenizer, HISTORIES[name], np.random.default_rng(1), suppress_tokens)


@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_random_histories_allow_what_upstream_allows(
    upstream: Whisper, tokenizer: Tokenizer, length: int
) -> None:
    random = np.random.default_rng(length)
    histories = [random_history(random, length) for _ in range(24)]
    picked = check(upstream, tokenizer, histories, random)
    assert 0 < sum(token >= ZERO for token in picked) < len(picked)  # both were tried


def test_the_vocabulary_of_english_only_models(upstream: Whisper) -> None:
    """Its special tokens lie elsewhere."""
    english = whisper.tokenizer.get_tokenizer(False)
    asked = whisper.DecodingOptions(language="en", fp16=False)
    task = DecodingTask(upstream, asked)
    task.tokenizer = english
    rules = LogitsProcessors.of(english, DecodingOptions())
    assert rules.suppressed.tolist() == sorted(
        {*task._get_suppress_tokens(), english.no_timestamps}
    )
    assert (rules.begin, rules.end) == (english.timestamp_begin, english.eot)


@pytest.mark.parametrize("temperature", [0.2, 0.6, 1.0])
def test_samples_are_as_frequent_as_softmax_says(tokenizer: Tokenizer, temperature: float) -> None:
    rules = LogitsProcessors.of(tokenizer, DecodingOptions())
    row = torch.tensor([1.0, -2.0, 0.5, 1.3, float(FORBIDDEN), 0.0, -0.7])
    count = 2000
    # Numbers spread evenly: then every token's share is exact, but for one number at either end.
    uniform = ((np.arange(count) + 0.5) / count).astype(np.float32)
    logits = np.tile(row.numpy(), (count, 1))
    norms = np.full(count, row.logsumexp(dim=0).item(), np.float32)
    tokens, log_probabilities = rules.pick(logits, norms, temperature, uniform)
    shares = np.bincount(tokens, minlength=len(row)) / count
    assert shares == pytest.approx((row / temperature).softmax(dim=0).numpy(), abs=2 / count)
    assert shares[4] == 0.0
    # At temperature 1, whatever was sampled at: upstream's avg_logprob is made of these.
    assert log_probabilities == pytest.approx(row.log_softmax(dim=0).numpy()[tokens], abs=1e-5)


def test_equal_chances_sample_equal_tokens(tokenizer: Tokenizer) -> None:
    rules = LogitsProcessors.of(tokenizer, DecodingOptions())
    random = np.random.default_rng(3)
    logits = random_logits(random, 6, 51865)
    norms = rules.apply(logits, [[ZERO]] * 6)
    uniform = random.random(6).astype(np.float32)
    first = rules.pick(logits, norms, 0.8, uniform)
    alone = [
        rules.pick(logits[i : i + 1], norms[i : i + 1], 0.8, uniform[i : i + 1]) for i in range(6)
    ]
    assert first[0].tolist() == [tokens[0] for tokens, _ in alone]
    assert len(set(first[0].tolist())) > 1
