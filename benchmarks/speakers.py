"""How well voices are told apart: `python -m benchmarks.speakers`.

Conversations generated with a seed from benchmarks/speech (benchmarks.conversations), and the
minutes of AMI meetings in the folder --more where it is there, each heard as a recording of its
own. Errors are pyannote.metrics' diarization error rate, overlapping speech counted: with every
moment scored, and with 0.25 s left out on either side of every change (its `collar=0.5`). --words
also transcribes the conversations with the model base, and counts the words that are given to
whoever speaks at that moment. Written to benchmarks/results/speakers.md.
"""

import argparse
import json
import resource
import tempfile
import warnings
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch

import longscribe
from benchmarks.conversations import Samples, Spoken, conversation, voices
from benchmarks.real_recordings import MORE_SPEECH_FOLDER
from benchmarks.recordings import RESULTS_FOLDER
from longscribe.api.speakers import who_speaks
from longscribe.audio.activity import activity_of
from longscribe.audio.recording import SAMPLE_RATE_HZ, accelerate, decode, probe
from longscribe.options import check_options
from longscribe.transcript import Transcript

# people, minutes, seed
CONVERSATIONS: Final = (
    *((1, 3, 21), (2, 2, 22), (2, 5, 23), (3, 2, 24), (3, 5, 25), (3, 10, 26)),
    *((5, 3, 27), (5, 5, 28), (5, 10, 29)),
)
LONG: Final = ((2, 60, 30), (5, 60, 31))
_AMI: Final = "ami_minutes"
_COLLARS: Final = (0.0, 0.5)


class Case(NamedTuple):
    """A recording and who speaks when in it."""

    kind: str
    name: str
    samples: Samples
    spoken: list[Spoken]


class Score(NamedTuple):
    """What came out of one; seconds of errors and in all are for each collar."""

    case: Case
    found: int
    errors_s: tuple[float, ...]
    total_s: tuple[float, ...]
    core_s: float
    right_words: int | None = None
    words: int | None = None


def cases(more: Path, with_long: bool) -> Iterator[Case]:
    """All recordings."""
    said = voices()
    for people, minutes, seed in (*CONVERSATIONS, *(LONG if with_long else ())):
        made = conversation(said, people, 60.0 * minutes, seed)
        yield Case("generated", f"{people} for {minutes} min", *made)
    if not (more / f"{_AMI}.json").is_file():
        return
    samples = np.concatenate(list(decode(probe(more / f"{_AMI}.opus"))))
    content = json.loads((more / f"{_AMI}.json").read_text(encoding="utf-8"))
    marked = content["utterances"] if isinstance(content, dict) else content
    for file in dict.fromkeys(one["file"] for one in marked):
        ours = [one for one in marked if one["file"] == file]
        start_s = max(0.0, min(one["start"] for one in ours) - 0.5)
        end_s = max(one["end"] for one in ours) + 0.3
        names = list(dict.fromkeys(one["speaker_or_class"] for one in ours))
        part = samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
        spoken = [
            Spoken(
                one["start"] - start_s,
                one["end"] - start_s,
                names.index(one["speaker_or_class"]),
            )
            for one in ours
        ]
        yield Case("AMI", Path(file).stem, part, spoken)


def score(case: Case, folder: Path, with_words: bool) -> Score:
    """Tell the voices of a recording apart, and compare."""
    path = folder / "recording.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.round(case.samples * 32767).astype("<i2").tobytes())
    audio = accelerate(probe(path), 1.0, folder / "samples.pcm")
    _, sound, speech = activity_of(audio, "model")
    began_s = _cpu_s()
    options = check_options(recording="here", speakers="auto", speed=1.0)
    found = who_speaks(audio, sound, speech, options)
    core_s = _cpu_s() - began_s
    assert found is not None
    reference = _annotation((one.start_s, one.end_s, one.voice) for one in case.spoken)
    told = _annotation(found.turns)
    errors = [_errors(reference, told, collar) for collar in _COLLARS]
    right = words = None
    if with_words and case.kind == "generated":
        said = longscribe.transcribe(path, "base", speakers="auto", word_timestamps=True)
        right, words = _right_words(said, case.spoken)
    return Score(
        *(case, len(found.people), tuple(e for e, _ in errors), tuple(t for _, t in errors)),
        *(core_s, right, words),
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _annotation(turns: Any) -> Any:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, (start_s, end_s, person) in enumerate(turns):
        if end_s > start_s:
            annotation[Segment(start_s, end_s), number] = str(person)
    return annotation


def _errors(reference: Any, told: Any, collar: float) -> tuple[float, float]:
    from pyannote.metrics.diarization import DiarizationErrorRate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it takes the recording's own ends for those of speech
        found = DiarizationErrorRate(collar=collar)(reference, told, detailed=True)
    parts = ("missed detection", "false alarm", "confusion")
    return sum(found[part] for part in parts), found["total"]


def _right_words(said: Transcript, spoken: list[Spoken]) -> tuple[int, int]:
    """Words given to somebody who speaks at their middle; people matched by shared words."""
    from scipy.optimize import linear_sum_assignment

    names = list(dict.fromkeys(s.speaker for s in said.segments))
    people = 1 + max(one.voice for one in spoken)
    shared = np.zeros((len(names), people), np.int64)
    words = 0
    for segment in said.segments:
        for word in segment.words or ():
            middle_s = (word.start + word.end) / 2
            speaking = {one.voice for one in spoken if one.start_s <= middle_s <= one.end_s}
            if speaking:
                words += 1
                shared[names.index(segment.speaker), list(speaking)] += 1
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return int(shared[rows, columns].sum()), words


def table(scores: list[Score]) -> str:
    """All of them, and each kind together, in Markdown."""
    lines = [
        "| recording | people | found | error, % | with collar, % | words right, % | core-s/h |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in scores:
        people = len({spoken.voice for spoken in one.case.spoken})
        lines.append(_row(f"{one.case.kind}: {one.case.name}", str(people), str(one.found), [one]))
    for kind in dict.fromkeys(one.case.kind for one in scores):
        ours = [one for one in scores if one.case.kind == kind]
        right = sum(one.found == len({s.voice for s in one.case.spoken}) for one in ours)
        lines.append(_row(f"**{kind}, all**", f"{len(ours)} recordings", f"{right} right", ours))
    return "\n".join(lines) + "\n"


def _row(name: str, people: str, found: str, scores: list[Score]) -> str:
    rates = [
        f"{100 * sum(s.errors_s[n] for s in scores) / sum(s.total_s[n] for s in scores):.1f}"
        for n in range(len(_COLLARS))
    ]
    words = sum(s.words or 0 for s in scores)
    right = f"{100 * sum(s.right_words or 0 for s in scores) / words:.1f}" if words else ""
    hours = sum(len(s.case.samples) for s in scores) / SAMPLE_RATE_HZ / 3600
    cost = f"{sum(s.core_s for s in scores) / hours:.0f}"
    return "| " + " | ".join((name, people, found, *rates, right, cost)) + " |"


def main() -> None:
    """Score all, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--more", type=Path, default=MORE_SPEECH_FOLDER, metavar="FOLDER")
    parser.add_argument("--words", action="store_true", help="also words; needs the extra base")
    parser.add_argument("--long", action="store_true", help="also conversations of an hour")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS_FOLDER.mkdir(parents=True, exist_ok=True)
    scores: list[Score] = []
    for case in cases(arguments.more, arguments.long):
        with tempfile.TemporaryDirectory() as folder:
            scores.append(score(case, Path(folder), arguments.words))
        (RESULTS_FOLDER / "speakers.md").write_text(table(scores), encoding="utf-8")
        print(table(scores[-1:]).splitlines()[2], flush=True)
    print(table(scores))


if __name__ == "__main__":
    main()
