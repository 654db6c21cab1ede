"""Training windows: utterances on a time line with pauses and noise, and what Whisper should say.

Positions count the encoder's grid of 20 ms (two mel frames). A window of `positions` grid points
may lie anywhere in the 1500 of a full 30 s window (`offset`), so that short ones train all of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.tokens import UNUSED, SpelledText, TokenMap

SAMPLES_PER_POSITION = 320
POSITION_S = 0.02
FULL_POSITIONS = 1500
MAX_PROMPT_TOKENS = 223
IGNORED = -100
_PREVIOUS_WORD, _WORD_NUMBER, _LETTER, MAX_WORD_NUMBER = 1, 2, 3, 20
_ALPHABET = "abcdefghijklmnopqrstuvwxyzáâãàéêíóôõúç"
LETTERS = len(_ALPHABET) + 1  # 0: silence

Rng = np.random.Generator


@dataclass(frozen=True)
class Utterance:
    """One row of the corpus; times in seconds from its first sample."""

    samples: NDArray[np.int16]
    peak: float
    onset_s: float
    offset_s: float
    words_s: NDArray[np.float32]  # words x (start, end)
    spelled: SpelledText
    language: str


@dataclass
class Window:
    """Audio of a window and its target; token times in positions of the full window, -1 if none."""

    audio: NDArray[np.float32]
    valid_positions: int  # the mel is set to zero from here on, as whisper.pad_or_trim does
    offset: int
    frame_labels: NDArray[np.int64]  # 4 x positions: word, word before, its number, letter
    tokens: list[int] = field(default_factory=list)  # decoder input, compact ids
    targets: list[int] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)

    def add(self, token: int, target: int, span: tuple[float, float] = (-1.0, -1.0)) -> None:
        """Append one input token with the token to predict and where that one is heard."""
        self.tokens.append(token)
        self.targets.append(target)
        self.spans.append(span)


def load_utterances(folder: Path, tokens: TokenMap) -> dict[str, list[Utterance]]:
    """All finished shards of a corpus by language; audio stays in the page cache (memmap)."""
    found: dict[str, list[Utterance]] = {}
    for index_path in sorted(folder.glob("*.json")):
        audio = np.memmap(index_path.with_suffix(".s16"), np.int16, mode="r")
        for row in json.loads(index_path.read_text(encoding="utf-8")):
            samples = audio[row["start"] : row["start"] + row["length"]]
            utterance = Utterance(
                samples,
                float(np.abs(samples.astype(np.int32)).max()),
                row["onset_s"],
                row["offset_s"],
                np.array(row["words_s"], np.float32),
                tokens.spell(row["text"], row["language"]),
                row["language"],
            )
            if len(utterance.spelled.word_ids) == len(utterance.words_s):
                found.setdefault(row["language"], []).append(utterance)
    return found


def noise_bank(seconds: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Stretches of noise of unit power."""
    rng = np.random.default_rng(seed)
    length = seconds * 16000
    hertz = np.fft.rfftfreq(length, 1 / 16000)
    bank: dict[str, NDArray[np.float32]] = {}
    for name, slope in (("white", 0.0), ("pink", 0.5), ("brown", 1.0)):
        spectrum = np.fft.rfft(rng.standard_normal(length))
        spectrum *= np.maximum(hertz, 20.0) ** -slope
        signal = np.fft.irfft(spectrum, length)
        bank[name] = (signal / signal.std()).astype(np.float32)
    time_s = np.arange(length) / 16000
    hum = sum(np.sin(2 * np.pi * 50 * k * time_s + k) / k for k in (1, 2, 3, 5, 7))
    mixed = hum / np.std(hum) + 0.1 * bank["white"]
    bank["hum"] = mixed.astype(np.float32)
    return bank


class WindowMaker:
    """Draws windows from a corpus."""

    def __init__(self, corpus: dict[str, list[Utterance]], tokens: TokenMap, seed: int) -> None:
        self.rng: Rng = np.random.default_rng(seed)
        self.corpus, self.map = corpus, tokens
        self.prompt_share = 0.2
        self.rough_share = 1.0  # of windows that may be quiet and noisy
        self.noises = noise_bank(120, seed)
        self.letters = {
            number: np.array([_ALPHABET.index(letter) + 1 for letter in word.split()[1]])
            for word, number in tokens.word_ids.items()
        }

    def draw(self, positions: int) -> Window:
        """One window of this many positions, at a random offset unless it is a full one."""
        rng = self.rng
        offset = int(rng.integers(0, FULL_POSITIONS - positions + 1))
        if positions < FULL_POSITIONS and rng.random() < 0.2:
            offset = 0
        language = "en" if rng.random() < 0.55 else "pt"
        window = Window(
            np.zeros(positions * SAMPLES_PER_POSITION, np.float32),
            positions,
            offset,
            np.zeros((4, positions), np.int64),
        )
        events = [] if rng.random() < 0.04 else self._events(positions, language, window)
        self._mix(window, events)
        self._target(window, events, language, positions)
        return window

    def _pause_s(self) -> float:
        draw = self.rng.random()
        if draw < 0.75:
            return float(self.rng.uniform(0.15, 1.2))
        return float(self.rng.uniform(1.2, 3.0) if draw < 0.88 else self.rng.uniform(2.0, 9.0))

    def _events(
        self, positions: int, language: str, window: Window
    ) -> list[tuple[Utterance, float]]:
        """Utterances with the time (s) of their onset in the window."""
        rng, length_s = self.rng, positions * POSITION_S
        rows = self.corpus[language]
        draw = rng.random()
        if draw < 0.45:
            lead_s = rng.uniform(0.0, 0.4)
        elif draw < 0.75:
            lead_s = rng.uniform(0.2, 1.2)
        elif draw < 0.95:
            lead_s = rng.uniform(1.0, min(9.0, length_s / 3))
        else:
            lead_s = -rng.uniform(0.2, 2.0)  # the window begins inside a sentence
        padded = rng.random() < (0.5 if positions < FULL_POSITIONS else 0.4)
        last_s = length_s * rng.uniform(0.1, 1.0) if padded else length_s
        events: list[tuple[Utterance, float]] = []
        at_s = float(lead_s)
        while at_s < last_s - 0.02:
            utterance = rows[int(rng.integers(len(rows)))]
            spoken_s = utterance.offset_s - utterance.onset_s
            fits = at_s + spoken_s < length_s - 0.1
            if padded and not fits:
                if events:
                    break
                at_s = max(length_s - 0.3 - spoken_s, 0.0) if spoken_s < length_s - 0.4 else at_s
            elif not events and not fits and spoken_s < length_s - 0.2:
                at_s = float(rng.uniform(0.0, length_s - 0.1 - spoken_s))
            events.append((utterance, at_s))
            at_s += spoken_s + self._pause_s()
        if padded and events:
            utterance, onset_s = events[-1]
            end_s = onset_s + utterance.offset_s - utterance.onset_s + rng.uniform(0.05, 0.6)
            window.valid_positions = min(int(end_s / POSITION_S) + 1, positions)
        return events

    def _mix(self, window: Window, events: list[tuple[Utterance, float]]) -> None:
        rng, audio = self.rng, window.audio
        rough = rng.random() < self.rough_share
        quiet = rough and rng.random() < 0.6
        gain = 10 ** (rng.uniform(-35, 0) / 20) if quiet else rng.uniform(0.4, 1.0)
        for utterance, onset_s in events:
            own_db = rng.uniform(-8, 0) if rng.random() < 0.9 else rng.uniform(-20, -8)
            scale = gain * 10 ** (own_db / 20) / max(utterance.peak, 1.0)
            first = round((onset_s - utterance.onset_s) * 16000)
            start, stop = max(first, 0), min(first + len(utterance.samples), len(audio))
            if stop > start:
                audio[start:stop] += utterance.samples[start - first : stop - first] * scale
        valid = window.valid_positions * SAMPLES_PER_POSITION
        # Beyond the end either zeros in the mel, or a digital silence, or the room's noise goes on.
        ending = rng.random()
        if ending > 0.6:
            window.valid_positions = len(audio) // SAMPLES_PER_POSITION
        if rng.random() < 0.8:
            level = min(10 ** rng.uniform(-4.5, -2 if rough else -3.5), gain * 0.03)
            names = ("white", "pink", "brown", "hum")
            noise = self.noises[names[int(rng.choice(4, p=(0.4, 0.3, 0.2, 0.1)))]]
            at = int(rng.integers(len(noise) - len(audio)))
            stop = valid if 0.6 < ending < 0.8 else len(audio)
            audio[:stop] += noise[at : at + stop] * np.float32(level)
        np.clip(audio, -1, 1, out=audio)

    def _target(
        self,
        window: Window,
        events: list[tuple[Utterance, float]],
        language: str,
        positions: int,
    ) -> None:
        rng, tokens = self.rng, self.map
        body: list[tuple[int, tuple[float, float]]] = []
        stamped = rng.random() < 0.8
        complete = True
        for utterance, onset_s in events:
            base = (onset_s - utterance.onset_s) / POSITION_S
            words = utterance.words_s / POSITION_S + base
            self._label(window, utterance, words)
            start = max(onset_s / POSITION_S, 0.0)
            end = (utterance.offset_s - utterance.onset_s + onset_s) / POSITION_S
            complete = end <= positions
            inside = (words[:, 0] >= -0.5) & (words[:, 1] <= positions + 0.5)
            spoken: list[tuple[int, tuple[float, float]]] = []
            spelled = utterance.spelled
            for token, word, part in zip(
                spelled.tokens, spelled.word_index, spelled.word_parts, strict=True
            ):
                if inside[word]:
                    low, high = words[word]
                    span = (low + (high - low) * part[0], low + (high - low) * part[1])
                    spoken.append((token, (span[0] + window.offset, span[1] + window.offset)))
            if not spoken and (end <= 0 or complete):
                continue
            if stamped:
                stamp = round(start) + window.offset
                body.append((tokens.timestamp(stamp), (stamp - 4.0, stamp + 8.0)))
                if not complete:
                    break
            body += spoken
            if stamped:
                stamp = round(end) + window.offset
                body.append((tokens.timestamp(stamp), (stamp - 8.0, stamp + 4.0)))
        speech = bool(body)
        if not body and stamped:
            body.append((tokens.timestamp(window.offset), (-1.0, -1.0)))
        self._prompt(window, language)
        window.add(tokens.sot, tokens.language[language] if speech else tokens.no_speech)
        window.add(tokens.language[language], tokens.transcribe)
        if stamped:
            previous = tokens.transcribe
        else:
            window.add(tokens.transcribe, IGNORED)
            previous = tokens.no_timestamps
        first_of_text = True
        for token, span in body:
            window.add(previous, token, span)
            previous = self._as_heard(token, first_of_text and stamped, window.offset)
            first_of_text = False
        window.add(previous, tokens.eot)

    def _as_heard(self, token: int, is_first: bool, offset: int) -> int:
        """The input for a target token: now and then a wrong one, as free decoding gives."""
        rng, tokens = self.rng, self.map
        draw = rng.random()
        if token >= tokens.first_timestamp:
            if is_first and token > tokens.timestamp(offset + 50) and draw < 0.5:
                # Upstream allows no first time stamp later than 1 s; the text must come anyway.
                return tokens.timestamp(offset + (50 if draw < 0.35 else 0))
            if draw < 0.05:
                position = token - tokens.first_timestamp + int(rng.integers(-5, 6))
                return tokens.timestamp(max(position, offset))
        elif token >= tokens.first_text and draw < 0.06:
            return int(rng.integers(tokens.first_text, tokens.first_timestamp))
        return token

    def _label(self, window: Window, utterance: Utterance, words: NDArray[Any]) -> None:
        labels = window.frame_labels
        previous = 0
        for number, (word, (start, end)) in enumerate(
            zip(utterance.spelled.word_ids, words, strict=True), 1
        ):
            span = slice(max(round(float(start)), 0), max(round(float(end)), 0))
            where = np.arange(span.start, min(span.stop, labels.shape[1]))
            letters = self.letters[word]
            # Letters share a word's time equally: rough, but it teaches the lower layers sounds.
            share = (where + 0.5 - start) / max(end - start, 1.0) * len(letters)
            labels[_LETTER, where] = letters[np.clip(share.astype(int), 0, len(letters) - 1)]
            labels[0, span] = word
            labels[_PREVIOUS_WORD, span] = previous
            labels[_WORD_NUMBER, span] = min(number, MAX_WORD_NUMBER)
            previous = word

    def _prompt(self, window: Window, language: str) -> None:
        """Sometimes the text before, as condition_on_previous_text and initial_prompt give it."""
        rng, tokens = self.rng, self.map
        if rng.random() >= self.prompt_share:
            return
        rows = self.corpus[language if rng.random() < 0.9 else "en"]
        text: list[int] = []
        stamped = rng.random() < 0.5
        at = int(rng.integers(0, 100))
        sentences = int(rng.integers(0, 4)) if rng.random() < 0.75 else int(rng.integers(4, 22))
        for _ in range(sentences):
            row = rows[int(rng.integers(len(rows)))]
            spoken = row.spelled.tokens
            end = at + round((row.offset_s - row.onset_s) / POSITION_S)
            if end >= FULL_POSITIONS:
                at, end = 0, end - at
            text += [tokens.timestamp(at), *spoken, tokens.timestamp(end)] if stamped else spoken
            at = end + int(rng.integers(5, 60))
        if rng.random() < 0.1:  # spellings of a glossary that it never learnt
            text += [UNUSED] * int(rng.integers(1, 12))
        for token in [tokens.sot_prev, *text[-MAX_PROMPT_TOKENS:]]:
            window.add(token, IGNORED)
