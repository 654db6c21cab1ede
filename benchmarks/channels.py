"""Channels: words on the right side, none twice, at what cost: `python -m benchmarks.channels`.

A call with bleed is made of real voices by a seed (benchmarks/calls.py) and transcribed with
`--speakers channels`; its sides without bleed, each alone, tell what the model itself gets wrong.
"""

import argparse
import multiprocessing
import resource
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import jiwer
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.calls import Call, Said, call, utterances
from benchmarks.process_tree import peak_bytes
from benchmarks.sounds import as_int16, write_wav
from longscribe.api.chain import checked_options, prepare
from longscribe.api.transcription import transcribe
from longscribe.audio.lanes import lanes_of
from longscribe.audio.recording import probe
from longscribe.text.words import spoken_words
from longscribe.transcript import Transcript

_NEAR_S: Final = 1.5  # how far a word's time may be off from its utterance
_PART_S: Final = 600.0  # said again and again in a long call


class Heard(NamedTuple):
    """A word that was transcribed: normalized, when, and on which side."""

    text: str
    at_s: float
    side: int


class Score(NamedTuple):
    """What became of a call.

    Attributes:
        words: that were said.
        wrong: words on another side than the one that says them, and not on that.
        twice: words on another side as well.
        rate: word error rate of all sides, each held against its own words.
        clean_rate: the same of each side's own track without bleed.
    """

    words: int
    wrong: int
    twice: int
    rate: float
    clean_rate: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--bleed", type=float, nargs="*", default=[0.2])
    parser.add_argument("--sides", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--model", default="base")
    parser.add_argument("--no-words", action="store_true", help="only the cost")
    parser.add_argument("--cost-hours", type=int, nargs="*", default=[1], metavar="HOURS")
    given = parser.parse_args(arguments)
    if not given.no_words:
        _print_words(given)
    if given.cost_hours:
        print("\n| hours | channels apart | core-seconds before transcription | peak memory, MB |")
        print("|---:|---|---:|---:|")
    made = call(utterances()[: given.sides], _PART_S, 0.2, 1)
    for hours in given.cost_hours:
        with tempfile.TemporaryDirectory() as folder:
            parts = round(3600 * hours / _PART_S)
            path = write_wav(Path(folder) / "call.wav", as_int16(made.channels), parts)
            for speakers in ("off", "channels"):
                # In a process of its own, whose memory is not that of making the call.
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    spent_s, peak_bytes = pool.submit(preparing, path, speakers).result()
                print(
                    f"| {hours} | {'yes' if speakers == 'channels' else 'no'} | {spent_s:.1f} "
                    f"| {peak_bytes / 1e6:.0f} |",
                    flush=True,
                )


def _print_words(given: argparse.Namespace) -> None:
    print("| sides | bleed | seed | words | wrong side | twice | WER | WER, clean tracks |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for bleed in given.bleed:
        for seed in given.seeds:
            made = call(utterances()[: given.sides], 60.0 * given.minutes, bleed, seed)
            found = measured(made, given.model)
            print(
                f"| {given.sides} | {100 * bleed:.0f} % | {seed} | {found.words} "
                f"| {100 * found.wrong / found.words:.2f} % | {found.twice} "
                f"| {100 * found.rate:.2f} % | {100 * found.clean_rate:.2f} % |",
                flush=True,
            )


def measured(made: Call, model: str) -> Score:
    """Transcribe a call and its clean tracks, and hold both against what is said."""
    normalize = EnglishTextNormalizer()
    sides = range(len(made.channels))
    with tempfile.TemporaryDirectory() as folder:
        path = write_wav(Path(folder) / "call.wav", as_int16(made.channels))
        names = [str(side) for side in sides]
        talk = transcribe(path, model, speakers="channels", speaker_names=names, language="en")
        clean = [
            transcribe(
                write_wav(Path(folder) / f"{side}.wav", as_int16(made.clean[side])),
                *(model,),
                language="en",
            )
            for side in sides
        ]
    references = [_reference(made.said, side, normalize) for side in sides]
    heard = [_words(talk, side, normalize) for side in sides]
    alone = [normalize(one.text).split() for one in clean]
    wrong, twice = _astray(made.said, references, heard, normalize)
    return Score(
        words=sum(map(len, references)),
        wrong=wrong,
        twice=twice,
        rate=_rate(references, [[word.text for word in words] for words in heard]),
        clean_rate=_rate(references, alone),
    )


def preparing(path: Path, speakers: str) -> tuple[float, int]:
    """Core-seconds of all that comes before transcription, and the process's memory at its peak."""
    options = checked_options("demo", {"speakers": speakers})
    with tempfile.TemporaryDirectory() as folder:
        lanes = lanes_of([probe(path)], by_channel=options.by_channel, names=())
        before = resource.getrusage(resource.RUSAGE_SELF)
        prepare(lanes, options, Path(folder))
        after = resource.getrusage(resource.RUSAGE_SELF)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent_s, peak_bytes()


def _reference(said: Sequence[Said], side: int, normalize: EnglishTextNormalizer) -> list[str]:
    return [word for one in said if one.side == side for word in normalize(one.text).split()]


def _words(talk: Transcript, side: int, normalize: EnglishTextNormalizer) -> list[Heard]:
    """The side's words, segment by segment: numbers are normalized with the words around them."""
    found = []
    for segment in talk.segments:
        if segment.speaker != str(side):
            continue
        times = [word.start_s for word in spoken_words(segment)]
        texts = normalize(segment.text).split()
        for number, text in enumerate(texts):
            at_s = times[min(len(times) - 1, number * len(times) // len(texts))]
            found.append(Heard(text, at_s, side))
    return found


def _astray(
    said: Sequence[Said],
    references: Sequence[Sequence[str]],
    heard: Sequence[Sequence[Heard]],
    normalize: EnglishTextNormalizer,
) -> tuple[int, int]:
    """Words a side has beyond its own that another says at that time: moved, and copied."""
    wrong = twice = 0
    for side, words in enumerate(heard):
        for word in _beyond(references[side], words):
            for one in said:
                if one.side == side or not (
                    one.start_s - _NEAR_S <= word.at_s <= one.end_s + _NEAR_S
                ):
                    continue
                count = Counter(normalize(one.text).split())[word.text]
                if not count:
                    continue
                told = sum(
                    other.text == word.text
                    and one.start_s - _NEAR_S <= other.at_s <= one.end_s + _NEAR_S
                    for other in heard[one.side]
                )
                twice += told >= count
                wrong += told < count
                break
    return wrong, twice


def _beyond(reference: Sequence[str], words: Sequence[Heard]) -> list[Heard]:
    """The words that the reference does not have where they stand."""
    if not words:
        return []
    aligned = jiwer.process_words(" ".join(reference), " ".join(word.text for word in words))
    return [
        word
        for chunk in aligned.alignments[0]
        if chunk.type in ("insert", "substitute")
        for word in words[chunk.hyp_start_idx : chunk.hyp_end_idx]
    ]


def _rate(references: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> float:
    errors = total = 0
    for reference, words in zip(references, heard, strict=True):
        found = jiwer.process_words(" ".join(reference), " ".join(words))
        errors += found.substitutions + found.deletions + found.insertions
        total += len(reference)
    return errors / total


if __name__ == "__main__":
    main()
