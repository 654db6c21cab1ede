"""Greedy, sampled and beam search: upstream's texts, and rows that leave when they are done."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import torch
import whisper
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer

from longscribe.decoding.search import Search
from longscribe.engine.network import First, Network
from longscribe.options import DecodingOptions

LONGEST = 224  # tokens, half of Whisper's context


def search(network: Network, tokenizer: Tokenizer, seed: int = 1, **options) -> Search:
    return Search(network, tokenizer, DecodingOptions(**options), seed)


@pytest.mark.parametrize("prompt", ["", "Victor and Helen, in London."])
def test_greedy_is_upstream_s_token_for_token(
    float32: Network,
    upstream: Whisper,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    prompt: str,
) -> None:
    asked = whisper.DecodingOptions(language="en", fp16=False, prompt=prompt or None)
    theirs = whisper.decode(upstream, torch.stack(list(mels)), asked)
    float32.encode(mels)
    ours = search(float32, tokenizer, initial_prompt=prompt).decode([0, 1, 2], 0.0, [0, 1, 2])
    for mine, their in zip(ours, theirs, strict=True):
        assert list(mine.tokens) == their.tokens
        assert mine.avg_logprob == pytest.approx(their.avg_logprob, abs=1e-4)
        assert mine.no_speech_prob == pytest.approx(their.no_speech_prob, abs=1e-4)
        assert not mine.stopped


@pytest.mark.parametrize("options", [{}, {"patience": 2.0, "length_penalty": 0.5}])
def test_beam_search_finds_upstream_s_texts(
    float32: Network,
    upstream: Whisper,
    tokenizer: Tokenizer,
    mels: Sequence[torch.Tensor],
    options: dict[str, float],
) -> None:
    asked = whisper.DecodingOptions(language="en", fp16=False, beam_size=3, **options)
    theirs = [whisper.decode(upstream, mel, asked) for mel in mels[:2]]
    float32.encode(mels[:2])
    ours = search(float32, tokenizer, beam_size=3, **options).decode([0, 1], 0.0, [0, 1])
    for mine, their in zip(ours, theirs, strict=True):
        assert tokenizer.decode(list(mine.tokens)).strip() == their.text
        assert mine.avg_logprob == pytest.approx(their.avg_logprob, abs=1e-4)


def test_samples_depend_on_seed_and_window_alone(
    float32: Network, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    float32.encode(mels)
    sampled = search(float32, tokenizer, best_of=2)
    together = sampled.decode([0, 1, 2], 1.0, [10, 11, 12])
    assert sampled.decode([1], 1.0, [11])[0].tokens == together[1].tokens
    assert sampled.decode([1], 1.0, [99])[0].tokens != together[1].tokens
    other_seed = search(float32, tokenizer, best_of=2, seed=2)
    assert other_seed.decode([1], 1.0, [11])[0].tokens != together[1].tokens
    assert {hypothesis.temperature for hypothesis in together} == {1.0}


def test_the_best_of_several_samples_is_taken(
    float32: Network, tokenizer: Tokenizer, mels: Sequence[torch.Tensor]
) -> None:
    float32.encode(mels)
    one, ten = (
        search(float32, tokenizer, best_of=count).decode([0, 1, 2], 1.0, [10, 11, 12])
        for count in (1, 10)
    )
    assert sum(found.avg_logprob for found in one) < sum(found.avg_logprob for found in ten)


class Script:
    """A network that says what a script tells it; it notes how many rows each step has."""

    def __init__(self, says: Callable[[int, int], int], sure: float = 20.0) -> None:
        self.says = says  # window and number of the token -> token
        self.sure = sure  # its logit; all others have 0
        self.dims = SimpleNamespace(n_text_ctx=448)
        self.rows: list[int] = []
        self.prompts: list[tuple[tuple[int, ...], int]] = []

    def start(
        self, windows: Sequence[int], prompt: Sequence[int], start_at: int, rows_per_window: int
    ) -> "Script":
        self.prompts.append((tuple(prompt), start_at))
        self.windows = list(windows)
        self.first = First(self.logits(0), torch.zeros(len(windows), 51865))
        self.said = 0
        return self

    def keep(self, rows: Sequence[int]) -> None:
        self.windows = [self.windows[row] for row in rows]
        assert self.windows == sorted(self.windows)

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        assert len(tokens) == len(self.windows)
        self.rows.append(len(tokens))
        self.said += 1
        return self.logits(self.said)

    def logits(self, number: int) -> torch.Tensor:
        logits = torch.zeros(len(self.windows), 51865)
        for row, window in enumerate(self.windows):
            logits[row, self.says(window, number)] = self.sure
        return logits


def saying(tokenizer: Tokenizer, *lines: Sequence[int]) -> Script:
    """Each window's own tokens after <|0.00|>, and then the end."""

    def says(window: int, number: int) -> int:
        if number == 0:
            return tokenizer.timestamp_begin
        line = lines[window]
        return line[number - 1] if number <= len(line) else tokenizer.eot

    return Script(says)


def circling(tokenizer: Tokenizer, period: int, stamps_every: int = 0) -> Script:
    """The same words for ever, with a time stamp now and then."""

    def says(window: int, number: int) -> int:
        if number == 0:
            return tokenizer.timestamp_begin
        if stamps_every and number % stamps_every < 2:
            return tokenizer.timestamp_begin + number
        return 1000 + number % period

    return Script(says)


def test_rows_that_end_leave_the_batch(tokenizer: Tokenizer) -> None:
    lines = ([1029] * 2, [2425, 11, 2425, 1029, 11], [])
    script = saying(tokenizer, *lines)
    found = search(script, tokenizer).decode([0, 1, 2], 0.0, [0, 1, 2])
    begin = tokenizer.timestamp_begin
    assert [hypothesis.tokens for hypothesis in found] == [(begin, *line) for line in lines]
    assert script.rows == [3, 2, 2, 1, 1, 1]


def test_beams_of_windows_that_are_done_leave_the_batch(tokenizer: Tokenizer) -> None:
    script = saying(tokenizer, [1029] * 2, [2425, 11, 2425, 1029, 11, 1029, 1030])
    found = search(script, tokenizer, beam_size=2).decode([0, 1], 0.0, [0, 1])
    begin = tokenizer.timestamp_begin
    assert [hypothesis.tokens[:3] for hypothesis in found] == [
        (begin, 1029, 1029),
        (begin, 2425, 11),
    ]
    assert script.rows[0] == 4
    assert script.rows[-1] == 2


@pytest.mark.parametrize("period", [1, 3, 10, 25])
@pytest.mark.parametrize("options", [{}, {"beam_size": 2}])
def test_a_text_that_turns_in_circles_is_stopped(
    tokenizer: Tokenizer, period: int, options: dict[str, int]
) -> None:
    script = circling(tokenizer, period)
    found = search(script, tokenizer, **options).decode([0], 0.0, [0])[0]
    assert found.stopped
    assert len(found.tokens) < LONGEST / 1.5
    assert len(found.tokens) <= max(40, 6 * period)


def test_circles_with_time_stamps_between_are_seen(tokenizer: Tokenizer) -> None:
    found = search(circling(tokenizer, 3, stamps_every=12), tokenizer).decode([0], 0.0, [0])[0]
    assert found.stopped
    assert len(found.tokens) < 80


def test_a_long_text_goes_on_to_the_end(tokenizer: Tokenizer) -> None:
    """Also one that says a few things twice, as people do."""
    line = [1000 + number % 97 for number in range(150)] + [2425, 11] * 5
    found = search(saying(tokenizer, line), tokenizer).decode([0], 0.0, [0])[0]
    assert found.tokens == (tokenizer.timestamp_begin, *line)
    assert not found.stopped


@pytest.mark.parametrize("options", [{}, {"beam_size": 2}])
def test_a_text_that_nothing_could_save_is_stopped(
    tokenizer: Tokenizer, options: dict[str, int]
) -> None:
    """Tokens of a logit of 8 among 50,000 others have some 6 % each, those of 10 30 %."""
    line = [1000 + number % 97 for number in range(150)]
    for sure, stops in ((8.0, True), (10.0, False)):
        script = saying(tokenizer, line)
        script.sure = sure
        found = search(script, tokenizer, **options).decode([0], 0.0, [0])[0]
        assert found.stopped == stops
        assert found.avg_logprob < -1.0
        assert len(found.tokens) < 40 if stops else len(found.tokens) > 100
    lenient = search(script, tokenizer, logprob_threshold=-9.0, **options)
    script.sure = 8.0
    assert not lenient.decode([0], 0.0, [0])[0].stopped


def test_nothing_is_longer_than_upstream_s_longest(tokenizer: Tokenizer) -> None:
    line = [1000 + number for number in range(300)]
    found = search(saying(tokenizer, line), tokenizer).decode([0], 0.0, [0])[0]
    assert found.tokens == (tokenizer.timestamp_begin, *line[: LONGEST - 1])


@pytest.mark.parametrize("prompt", ["", "Longscribe", "word " * 400])
@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_the_prompt_is_upstream_s(upstream: Whisper, prompt: str, task: str) -> None:
    tokenizer = whisper.tokenizer.get_tokenizer(True, num_languages=99, language="pt", task=task)
    script = saying(tokenizer, [1029])
    search(script, tokenizer, initial_prompt=prompt, task=task).decode([0], 0.0, [0])
    asked = whisper.DecodingOptions(language="pt", task=task, prompt=prompt or None, fp16=False)
    theirs = whisper.decoding.DecodingTask(upstream, asked)
    assert script.prompts == [(theirs.initial_tokens, theirs.sot_index)]
    assert getattr(tokenizer, task) in script.prompts[0][0]


@pytest.mark.parametrize("prompt", ["<|endoftext|>", "Notes <|startoftranscript|><|0.00|> by Ann"])
def test_a_special_token_in_a_prompt_is_text(tokenizer: Tokenizer, prompt: str) -> None:
    script = saying(tokenizer, [1029])
    search(script, tokenizer, initial_prompt=prompt).decode([0], 0.0, [0])
    [(tokens, start_at)] = script.prompts
    before = tokens[1:start_at]
    assert all(token < tokenizer.eot for token in before)
    assert tokenizer.decode(list(before)).replace("< |", "<|").strip() == prompt
