"""Figures of the model card: word error rate by language, speed and voice, and time-stamp accuracy.

`python -m demo.evaluate --minutes 30` makes held-out recordings, transcribes them with
whisper.transcribe's defaults (but condition_on_previous_text as said) and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jiwer
import torch
import whisper
from whisper.audio import N_SAMPLES
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

from demo.make_recording import DEFAULT_NOISE, Request, make_recording

Rows = list[dict[str, Any]]
TOLERANCE_S = 0.2
_CLIP_GAP_S, _CLIP_MARGIN_S = 1.5, 0.2


@dataclass
class Score:
    """Errors and reference words, by voice too, and how many segments are in time."""

    words: int = 0
    errors: int = 0
    matched: int = 0
    in_time: int = 0
    segments: int = 0
    voice_words: Counter[str] = field(default_factory=Counter)
    voice_errors: Counter[str] = field(default_factory=Counter)
    mistakes: Counter[str] = field(default_factory=Counter)

    @property
    def error_rate(self) -> float:
        """Word error rate in per cent."""
        return 100 * self.errors / max(self.words, 1)

    @property
    def in_time_share(self) -> float:
        """Per cent of the reference's sentences with both ends within 0.2 s."""
        return 100 * self.in_time / max(self.segments, 1)


def score(reference: Rows, hypothesis: Rows, language: str) -> Score:
    """Compare two lists of {start, end, text}; each text is normalized by itself.

    Segment by segment, because the English normalizer would join the numbers of neighbours.
    """
    normalize = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    result = Score(segments=len(reference))
    spoken: list[str] = []
    speakers: list[str] = []
    for row in reference:
        words = normalize(row["text"]).split()
        spoken += words
        speakers += [row.get("voice", "")] * len(words)
    heard = [word for row in hypothesis for word in normalize(row["text"]).split()]
    result.words = len(spoken)
    result.voice_words.update(speakers)
    output = jiwer.process_words(" ".join(spoken), " ".join(heard))
    for chunk in output.alignments[0]:
        if chunk.type == "equal":
            continue
        size = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        result.errors += size
        speaker = speakers[min(chunk.ref_start_idx, len(speakers) - 1)] if speakers else ""
        result.voice_errors[speaker] += size
        said = " ".join(spoken[chunk.ref_start_idx : chunk.ref_end_idx])
        got = " ".join(heard[chunk.hyp_start_idx : chunk.hyp_end_idx])
        result.mistakes[f"{said or '-'} > {got or '-'}"] += 1
    for row in reference:
        near = min(
            hypothesis,
            key=lambda h: abs(h["start"] - row["start"]) + abs(h["end"] - row["end"]),
            default=None,
        )
        if near is not None:
            late_s = max(abs(near["start"] - row["start"]), abs(near["end"] - row["end"]))
            result.in_time += late_s <= TOLERANCE_S
    return result


def speech_clips(reference: Rows) -> list[float]:
    """[start, end, start, end ...] around speech, as the project's silence detector gives them."""
    clips: list[float] = []
    for row in reference:
        start, end = max(row["start"] - _CLIP_MARGIN_S, 0.0), row["end"] + _CLIP_MARGIN_S
        if clips and start - clips[-1] < _CLIP_GAP_S:
            clips[-1] = end
        else:
            clips += [start, end]
    return clips


def transcribe(model: Any, path: Path, language: str, mode: str, reference: Rows) -> Rows:
    """Segments of whisper.transcribe; mode is 'plain', 'conditioned' or 'clips'."""
    options: dict[str, Any] = {"condition_on_previous_text": mode == "conditioned"}
    if mode == "clips":
        options["clip_timestamps"] = speech_clips(reference)
    result = model.transcribe(str(path), language=language, fp16=False, **options)
    segments: Rows = result["segments"]
    return segments


def languages_heard(model: Any, path: Path) -> Counter[str]:
    """What detect_language says of every full 30 s of a recording."""
    audio = whisper.load_audio(str(path))
    heard: Counter[str] = Counter()
    for at in range(0, len(audio) - N_SAMPLES, N_SAMPLES):
        mel = whisper.log_mel_spectrogram(audio[at : at + N_SAMPLES])
        _, shares = model.detect_language(mel)
        heard[max(shares, key=shares.get)] += 1
    return heard


def telephone(path: Path) -> Path:
    """The recording as an 8 kHz mu-law file beside it."""
    found = path.with_suffix(".8k.wav")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-ar", "8000", "-c:a", "pcm_mulaw"]
    subprocess.run([*command, str(found)], check=True)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("longscribe/models/demo.pt"))
    parser.add_argument("--minutes", type=float, default=30.0, help="source minutes per recording")
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--languages", nargs="+", default=["en", "pt"])
    parser.add_argument("--speeds", nargs="+", type=float, default=[1.0, 1.2])
    parser.add_argument("--modes", nargs="+", default=["plain", "conditioned", "clips"])
    parser.add_argument("--unseen-voices", action="store_true")
    parser.add_argument("--noise", type=float, default=DEFAULT_NOISE)
    parser.add_argument("--folder", type=Path, default=Path("demo/build/evaluation"))
    parser.add_argument("--mistakes", type=int, default=0, help="list this many")
    parser.add_argument("--telephone", action="store_true", help="through 8 kHz mu-law")
    parser.add_argument("--suffix", default="wav", help="container, mp3 or opus for instance")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    model = whisper.load_model(str(args.model), device="cpu")
    print("| language | speed | mode | words | WER % | in time % | x real time |")
    print("|---|---|---|---|---|---|---|", flush=True)
    by_voice: dict[str, list[int]] = {}
    for language in args.languages:
        for speed in args.speeds:
            # The same speech at every speed: the shorter file holds the same minutes of source.
            name = f"{language}-{args.seed}-{args.minutes:g}-{speed:g}-{args.noise:g}"
            path = args.folder / f"{name}{'-unseen' if args.unseen_voices else ''}.{args.suffix}"
            if not path.exists():
                minutes = args.minutes / speed
                make_recording(
                    Request(
                        args.seed, minutes, language, speed, path, args.noise, args.unseen_voices
                    )
                )
            reference = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            path = telephone(path) if args.telephone else path
            for mode in args.modes:
                began = time.monotonic()
                heard = transcribe(model, path, language, mode, reference)
                pace = args.minutes / speed * 60 / (time.monotonic() - began)
                found = score(reference, heard, language)
                print(
                    f"| {language} | {speed:g} | {mode} | {found.words} | {found.error_rate:.2f} "
                    f"| {found.in_time_share:.1f} | {pace:.0f} |",
                    flush=True,
                )
                if mode == args.modes[0]:
                    for voice, words in found.voice_words.items():
                        tally = by_voice.setdefault(f"{language} {voice} {speed:g}", [0, 0])
                        tally[0] += words
                        tally[1] += found.voice_errors[voice]
                for mistake, count in found.mistakes.most_common(args.mistakes):
                    print(f"    {count} x {mistake}")
            print(f"detected: {dict(languages_heard(model, path))}")
    print("\n| language, voice, speed | words | WER % |\n|---|---|---|")
    for name, (words, errors) in sorted(by_voice.items()):
        print(f"| {name} | {words} | {100 * errors / words:.2f} |")


if __name__ == "__main__":
    main()
