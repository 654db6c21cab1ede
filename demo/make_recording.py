"""A held-out recording with its reference: `python demo/make_recording.py --seed 1 --minutes 5 \
--language en --speed 1.0 --out FILE` writes FILE (any container PyAV can write) and FILE's .json.

The reference is a list of {start, end, text, language, voice}, in seconds on FILE's own time line.
The seeds' random streams are apart from those of the training corpus. Speech is made in worker
processes and written as it comes, so a long recording needs no more memory than a short one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

if __package__ in (None, ""):  # called as a script: make `demo` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.grammar import LANGUAGES, load_grammar
from demo.tempo import stream_tempo
from demo.voices import (
    SAMPLE_RATE_HZ,
    Samples,
    Speech,
    SynthesizerMissing,
    Voice,
    speak,
    unseen_voices,
    voices,
)

DEFAULT_NOISE = 5e-4  # standard deviation, full scale = 1: a quiet room
_CODECS = {
    ".wav": "pcm_s16le", ".flac": "flac", ".mp3": "libmp3lame", ".opus": "libopus",
    ".ogg": "libopus", ".webm": "libopus", ".mka": "libopus", ".m4a": "aac", ".mp4": "aac",
    ".aac": "aac",
}  # fmt: skip
_SPEAKERS, _FLITE_SPEAKERS = 6, 2
_TURNS_PER_TASK, _MINUTES_PER_TASK = 40, 2.0
_TAIL_S = 0.3  # a recording does not end in the middle of a word


@dataclass(frozen=True)
class Turn:
    """One sentence to say after a pause."""

    text: str
    voice: Voice
    peak: float  # of full scale 1
    pause_s: float


@dataclass(frozen=True)
class Request:
    """What to write."""

    seed: int
    minutes: float
    language: str
    speed: float
    out: Path
    noise: float = DEFAULT_NOISE
    unseen: bool = False
    bit_rate: int | None = None
    processes: int = 2

    @property
    def length_samples(self) -> int:
        """Exact length of FILE."""
        return round(self.minutes * 60 * SAMPLE_RATE_HZ)


def turns(request: Request) -> Iterator[Turn]:
    """An endless, seeded conversation."""
    rng = random.Random(f"recording {request.language} {request.seed} {request.unseen}")
    grammar = load_grammar(request.language)
    speakers = _speakers(request, rng)
    while True:
        voice, peak = rng.choice(speakers)
        for _ in range(rng.randint(1, 4)):
            spoken = voice if request.unseen else voice.varied(rng)
            yield Turn(grammar.sentence(rng), spoken, peak, _pause_s(rng))


def _speakers(request: Request, rng: random.Random) -> list[tuple[Voice, float]]:
    if request.unseen:
        chosen = unseen_voices(request.language)
    else:
        pool = voices(request.language)
        flite = [voice for voice in pool if voice.engine == "flite"]
        others = [voice for voice in pool if voice.engine != "flite"]
        chosen = rng.sample(flite, min(len(flite), _FLITE_SPEAKERS))
        chosen += rng.sample(others, _SPEAKERS - len(chosen))
    return [(voice, 10 ** (rng.uniform(-14, -3) / 20)) for voice in chosen]


def _pause_s(rng: random.Random) -> float:
    draw = rng.random()
    if draw < 0.90:
        return rng.uniform(0.2, 1.2)
    return rng.uniform(2.0, 8.0) if draw < 0.993 else rng.uniform(10.0, 40.0)


def _speak_all(batch: list[Turn]) -> list[tuple[Turn, Speech]]:
    return [(turn, speak(turn.text, turn.voice)) for turn in batch]


def _spoken(request: Request) -> Iterator[tuple[Turn, Speech]]:
    """Turns with their speech, in order; synthesized ahead by at most a few tasks.

    Every task gets a process of its own: the synthesizers keep state from sentence to sentence, and
    the same seed must give the same samples whatever the process said before. (spawn: a caller may
    hold threads, as torch does, which do not survive a fork.)
    """
    source = turns(request)
    context = multiprocessing.get_context("spawn")
    ahead = request.processes + 1 if request.minutes > _MINUTES_PER_TASK else 1
    with context.Pool(min(request.processes, ahead), maxtasksperchild=1) as pool:
        waiting: deque[Any] = deque()
        while True:
            while len(waiting) < ahead:
                batch = [next(source) for _ in range(_TURNS_PER_TASK)]
                waiting.append(pool.apply_async(_speak_all, (batch,)))
            yield from waiting.popleft().get()


def _time_line(request: Request, reference: list[dict[str, Any]]) -> Iterator[Samples]:
    """Blocks of the recording at speed 1.0; fills the reference, in seconds at `speed`."""
    total = round(request.length_samples * request.speed)
    position = 0
    for turn, speech in _spoken(request):
        start = int(speech.onset_s * SAMPLE_RATE_HZ)
        samples = speech.samples[start : int(speech.offset_s * SAMPLE_RATE_HZ)]
        pause = int(turn.pause_s * SAMPLE_RATE_HZ)
        if position + pause + len(samples) + int(_TAIL_S * SAMPLE_RATE_HZ) > total:
            break
        scale = turn.peak * 32767 / max(int(np.abs(samples.astype(np.int32)).max(initial=0)), 1)
        onset = position + pause
        block = np.zeros(pause + len(samples), np.int16)
        block[pause:] = np.round(samples * scale).astype(np.int16)
        position += len(block)
        reference.append(
            {
                "start": round(onset / SAMPLE_RATE_HZ / request.speed, 3),
                "end": round(position / SAMPLE_RATE_HZ / request.speed, 3),
                "text": turn.text,
                "language": request.language,
                "voice": turn.voice.name,
            }
        )
        yield block
    while position < total:
        block = np.zeros(min(SAMPLE_RATE_HZ, total - position), np.int16)
        position += len(block)
        yield block


def _noise_loop(level: float, seed: int) -> NDArray[np.float32]:
    """47 s of pink noise that joins its own beginning."""
    rng = np.random.default_rng(seed)
    length = 47 * SAMPLE_RATE_HZ
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 47 * 20) ** -0.5
    noise = np.fft.irfft(spectrum, length)
    scaled: NDArray[np.float32] = (noise * (level * 32767 / noise.std())).astype(np.float32)
    return scaled


def _noisy(blocks: Iterator[Samples], request: Request) -> Iterator[Samples]:
    if request.noise <= 0:
        yield from blocks
        return
    loop = _noise_loop(request.noise, request.seed)
    position = 0
    for block in blocks:
        noise = np.take(loop, np.arange(position, position + len(block)), mode="wrap")
        position += len(block)
        yield np.clip(np.round(block + noise), -32768, 32767).astype(np.int16)


def _exactly(blocks: Iterator[Samples], length: int) -> Iterator[Samples]:
    """`atempo` gives a few samples more or less; the file gets the length that was asked for."""
    for block in blocks:
        if length > 0:
            yield block[:length]
        length -= len(block)
    if length > 0:
        yield np.zeros(length, np.int16)


def _encode(blocks: Iterator[Samples], path: Path, suffix: str, bit_rate: int | None) -> None:
    codec = _CODECS.get(suffix)
    if codec is None:
        raise ValueError(f"unknown suffix {suffix!r}; choose one of {' '.join(sorted(_CODECS))}")
    kind = {".opus": "ogg", ".m4a": "mp4", ".aac": "adts", ".mka": "matroska"}
    with av.open(str(path), "w", format=kind.get(suffix, suffix[1:])) as container:
        stream = container.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="mono")
        assert isinstance(stream, AudioStream)
        if bit_rate:
            stream.bit_rate = bit_rate
        position = 0
        for block in blocks:
            frame = av.AudioFrame.from_ndarray(block[None, :], format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            frame.pts = position
            position += len(block)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_recording(request: Request) -> list[dict[str, Any]]:
    """Write FILE and its reference beside it; returns the reference."""
    reference: list[dict[str, Any]] = []
    blocks = _noisy(_time_line(request, reference), request)
    if request.speed != 1:
        blocks = stream_tempo(blocks, request.speed)
    partial = request.out.with_name(request.out.name + ".part")
    _encode(
        _exactly(blocks, request.length_samples),
        partial,
        request.out.suffix.lower(),
        request.bit_rate,
    )
    os.replace(partial, request.out)
    text = "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in reference) + "\n]\n"
    request.out.with_suffix(".json").write_text(text, encoding="utf-8")
    return reference


def main() -> int:
    """Command line; exit code 2 with one sentence when something is missing."""
    parser = argparse.ArgumentParser(description="Make a held-out recording and its reference.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="exact length of FILE")
    parser.add_argument("--language", choices=LANGUAGES, default="en")
    parser.add_argument("--speed", type=float, default=1.0, help="by FFmpeg's atempo, pitch kept")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--noise", type=float, default=DEFAULT_NOISE, help="pink, full scale = 1")
    parser.add_argument("--unseen-voices", action="store_true", help="voices not trained on")
    parser.add_argument("--bit-rate", type=int, help="bit/s of a lossy codec")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    if args.minutes <= 0 or not 0.5 <= args.speed <= 4:
        parser.error("--minutes must be positive and --speed between 0.5 and 4")
    request = Request(
        args.seed, args.minutes, args.language, args.speed, args.out, args.noise,
        args.unseen_voices, args.bit_rate, args.processes,
    )  # fmt: skip
    try:
        reference = make_recording(request)
    except (SynthesizerMissing, ValueError, OSError) as error:
        print(f"make_recording: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {args.minutes * 60:.1f} s, {len(reference)} sentences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
