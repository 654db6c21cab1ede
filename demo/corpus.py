"""The training corpus: utterances of all voices in int16 shards with an index of texts and times.

A shard is `NNN.s16` (16 kHz mono, utterances one after another) and `NNN.json`, a list of one
object per utterance: start and length in samples; onset, offset and word times in seconds from it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from demo.grammar import LANGUAGES, load_grammar
from demo.tempo import change_tempo
from demo.voices import SAMPLE_RATE_HZ, Samples, Speech, Voice, speak, voices

UTTERANCES_PER_SHARD = 300
SHARDS = {"en": 80, "pt": 60}  # 24,000 and 18,000 utterances: about 40 hours
_FLITE_SHARE = 0.45  # of English; five voices, so each is heard more often than one of eSpeak's
_MARGIN_BEFORE_S, _MARGIN_AFTER_S = 0.03, 0.06
_TEMPO_SHARE = 0.4  # the project plays recordings at 1.2x by default
_TELEPHONE_SHARE, _CODED_SHARE = 0.10, 0.10
_CODECS = (("mp3", "32k"), ("mp3", "64k"), ("ogg", "16k"), ("ogg", "24k"))


def build_corpus(folder: Path, processes: int = 2) -> None:
    """Write all shards that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(folder, language, i) for language in LANGUAGES for i in range(SHARDS[language])]
    random.Random(0).shuffle(tasks)  # so that an unfinished corpus holds everything already
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, name in enumerate(pool.imap_unordered(_build_shard, tasks), 1):
            print(f"corpus {done}/{len(tasks)} {name}", flush=True)


def _build_shard(task: tuple[Path, str, int]) -> str:
    folder, language, number = task
    name = f"{language}-{number:03d}"
    index_path = folder / f"{name}.json"
    if index_path.exists():
        return name
    # The prefix keeps these streams apart from those of make_recording.py.
    rng = random.Random(f"training {name}")
    grammar = load_grammar(language)
    drawn: list[tuple[str, Voice, Speech]] = []
    for _ in range(UTTERANCES_PER_SHARD):
        voice = _draw_voice(language, rng).varied(rng)
        text = grammar.sentence(rng)
        drawn.append((text, voice, speak(text, voice)))
    audio = [_trimmed(speech) for _, _, speech in drawn]
    _code_some(audio, rng)
    rows: list[dict[str, Any]] = []
    position = 0
    with (folder / f"{name}.s16").open("wb") as file:
        for (text, voice, speech), samples in zip(drawn, audio, strict=True):
            tempo = _draw_tempo(rng)
            samples = change_tempo(samples, tempo) if tempo != 1 else samples
            shift = max(speech.onset_s - _MARGIN_BEFORE_S, 0.0)
            file.write(samples.tobytes())
            rows.append(
                {
                    "start": position,
                    "length": len(samples),
                    "onset_s": (speech.onset_s - shift) / tempo,
                    "offset_s": (speech.offset_s - shift) / tempo,
                    "words_s": [
                        ((a - shift) / tempo, (b - shift) / tempo) for a, b in speech.word_times_s
                    ],
                    "text": text,
                    "language": language,
                    "voice": voice.name,
                }
            )
            position += len(samples)
    index_path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return name


def _draw_voice(language: str, rng: random.Random) -> Voice:
    flite = [voice for voice in voices(language) if voice.engine == "flite"]
    others = [voice for voice in voices(language) if voice.engine != "flite"]
    return rng.choice(flite if flite and rng.random() < _FLITE_SHARE else others)


def _draw_tempo(rng: random.Random) -> float:
    if rng.random() >= _TEMPO_SHARE:
        return 1.0
    return rng.gauss(1.2, 0.03) if rng.random() < 0.6 else rng.uniform(1.02, 1.35)


def _trimmed(speech: Speech) -> Samples:
    first = max(int((speech.onset_s - _MARGIN_BEFORE_S) * SAMPLE_RATE_HZ), 0)
    last = int((speech.offset_s + _MARGIN_AFTER_S) * SAMPLE_RATE_HZ)
    return speech.samples[first:last]


def band_limited(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """The samples without what lies outside a band (300-3400 Hz: a telephone line)."""
    spectrum = np.fft.rfft(samples.astype(np.float32))
    hertz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    spectrum[(hertz < low_hz) | (hertz > high_hz)] = 0
    return np.clip(np.fft.irfft(spectrum, len(samples)), -32768, 32767).astype(np.int16)


def _code_some(audio: list[Samples], rng: random.Random) -> None:
    """Replace some utterances by what a telephone or a lossy codec leaves of them."""
    chosen = []
    for index, samples in enumerate(audio):
        draw = rng.random()
        if draw < _TELEPHONE_SHARE:
            # A line passes 300-3400 Hz, a plain 8 kHz file everything below 4 kHz.
            band = (300.0, 3400.0) if rng.random() < 0.5 else (0.0, 3900.0)
            audio[index] = band_limited(samples, *band)
        elif draw < _TELEPHONE_SHARE + _CODED_SHARE:
            chosen.append(index)
    if chosen:
        joined = _through_ffmpeg(np.concatenate([audio[i] for i in chosen]), rng.choice(_CODECS))
        position = 0
        for index in chosen:
            length = len(audio[index])
            if position + length <= len(joined):
                audio[index] = joined[position : position + length]
            position += length


def _through_ffmpeg(samples: Samples, codec: tuple[str, str]) -> Samples:
    """Encode and decode; the container's gapless data keep the samples in place."""
    suffix, bit_rate = codec
    raw = ["-f", "s16le", "-ar", str(SAMPLE_RATE_HZ), "-ac", "1"]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/speech.{suffix}"
        encoder = ["-c:a", "libopus"] if suffix == "ogg" else []
        command = ["ffmpeg", "-v", "error", *raw, "-i", "-", *encoder, "-b:a", bit_rate, path]
        subprocess.run(command, input=samples.tobytes(), check=True)
        command = ["ffmpeg", "-v", "error", "-i", path, *raw, "-"]
        decoded = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(decoded, np.int16)


def main() -> None:
    """Build the corpus alone (demo/train.py does so too)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo/build/corpus"))
    build_corpus(parser.parse_args().folder)


if __name__ == "__main__":
    main()
