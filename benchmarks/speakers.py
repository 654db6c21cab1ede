"""How well voices are told apart: `python -m benchmarks.speakers`.

Three kinds of recordings (benchmarks.speaker_cases): conversations generated with a seed from
phrases of benchmarks/speech, readings by several with their words, and the half minutes of AMI
meetings in the folder --more where it is there, each heard as a recording of its own.

Errors are pyannote.metrics' diarization error rate, overlapping speech counted: with every moment
scored, and with 0.25 s left out on either side of every change (its `collar=0.5`). The same
networks' voices are also put together as senko and pyannote do (benchmarks.clusterings). Readings
are transcribed with the model base, too: how many words are given to whoever speaks at that moment,
and the word error rate of each speaker's words (meeteval's cpWER) beside that of all.

Each recording's result is kept in benchmarks/results/speakers.json at once: a run that was stopped
goes on. The table is written to benchmarks/results/speakers.md.
"""

import argparse
import hashlib
import json
import resource
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel
from whisper.normalizers import EnglishTextNormalizer

import longscribe
from benchmarks.clusterings import PUBLISHED, as_published
from benchmarks.real_recordings import MORE_SPEECH_FOLDER
from benchmarks.recordings import RESULTS_FOLDER
from benchmarks.sounds import as_int16, write_wav
from benchmarks.speaker_cases import Case, cases
from longscribe.audio.activity import activity_of
from longscribe.audio.recording import accelerate, probe
from longscribe.cache.code import sources_sha256
from longscribe.options.speakers import VoiceCount
from longscribe.speakers.diarization import diarize, spans_of, talk
from longscribe.speakers.listening import listener
from longscribe.speakers.weights import find_weights
from longscribe.transcript import Transcript

_COLLARS: Final = (0.0, 0.5)
_PARTS: Final = ("missed detection", "false alarm", "confusion")
_ANY: Final = VoiceCount(1, 20)
_OURS: Final = "longscribe"
_KEPT: Final = "speakers.json"
_CODE: Final = (
    *("clustering", "diarization", "embedding", "features", "listening", "segmentation", "spans"),
    *("turns", "windows", "words"),
)
_OWN_CODE: Final = ("clusterings.py", "conversations.py", "calls.py", "speaker_cases.py")


class Errors(BaseModel):
    """What one way of telling voices apart makes of a recording.

    Attributes:
        people: that it found.
        missed_s, false_s, confused_s, total_s: without a collar, and with.
    """

    people: int
    missed_s: tuple[float, ...]
    false_s: tuple[float, ...]
    confused_s: tuple[float, ...]
    total_s: tuple[float, ...]


class Words(BaseModel):
    """Words of a recording: of those heard, those with the right speaker; and errors of words.

    Attributes:
        heard: where somebody speaks.
        right: of those, given to somebody who speaks at their middle.
        said: by all.
        errors: of all words by their times, whoever says them; None without.
        errors_by_speaker: of each speaker's, people matched so that they are fewest.
    """

    heard: int
    right: int
    said: int
    errors: int
    errors_by_speaker: int


class Score(BaseModel):
    """What came out of a recording."""

    kind: str
    name: str
    people: int
    duration_s: float
    core_s: float
    ways: dict[str, Errors]
    words: Words | None = None


def score(case: Case, folder: Path) -> Score:
    """Tell the voices of a recording apart, and compare."""
    path = write_wav(folder / "recording.wav", as_int16(case.samples))
    audio = accelerate(probe(path), 1.0, folder / "samples.pcm")
    _, sound, speech = activity_of(audio, "model")
    weights = find_weights()
    listener(weights)
    began_s = _cpu_s()
    spoken = talk(sound, speech)
    spans = spans_of(audio.pcm_path, audio.samples, spoken)
    heard = [(span, listener(weights).listen(span)) for span in spans]
    found = diarize(heard, audio.duration_s, spoken, _ANY)
    core_s = _cpu_s() - began_s
    reference = _annotation((one.start_s, one.end_s, one.voice) for one in case.spoken)
    ways = {_OURS: _errors(reference, found.turns)}
    for name in PUBLISHED:
        ways[name] = _errors(reference, as_published(name, heard, audio.duration_s, spoken))
    return Score(
        kind=case.kind,
        name=case.name,
        people=case.people,
        duration_s=audio.duration_s,
        core_s=core_s,
        ways=ways,
        words=_words(path, case) if case.said else None,
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


def _errors(reference: Any, turns: list[tuple[float, float, int]]) -> Errors:
    from pyannote.metrics.diarization import DiarizationErrorRate

    told = _annotation(turns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it takes the recording's own ends for those of speech
        found = [
            DiarizationErrorRate(collar=collar)(reference, told, detailed=True)
            for collar in _COLLARS
        ]
    missed, false, confused, total = (
        tuple(one[part] for one in found) for part in (*_PARTS, "total")
    )
    return Errors(
        people=len({person for *_, person in turns}),
        missed_s=missed,
        false_s=false,
        confused_s=confused,
        total_s=total,
    )


def _words(path: Path, case: Case) -> Words:
    from meeteval.wer import cp_word_error_rate, siso_word_error_rate

    said = longscribe.transcribe(path, "base", speakers="auto", word_timestamps=True, language="en")
    right, heard = _right_words(said, case)
    normalize = EnglishTextNormalizer()
    names = list(dict.fromkeys(str(s.speaker) for s in said.segments))
    references = {
        str(side): " ".join(normalize(one.text) for one in case.said if one.side == side)
        for side in sorted({one.side for one in case.said})
    }
    told = {
        name: " ".join(normalize(s.text) for s in said.segments if str(s.speaker) == name)
        for name in names
    }
    by_speaker = cp_word_error_rate(references, told)
    plain = siso_word_error_rate(
        " ".join(normalize(one.text) for one in sorted(case.said)),
        " ".join(normalize(s.text) for s in said.segments),
    )
    return Words(
        heard=heard,
        right=right,
        said=by_speaker.length,
        errors=plain.errors,
        errors_by_speaker=by_speaker.errors,
    )


def _right_words(said: Transcript, case: Case) -> tuple[int, int]:
    """Words given to somebody who speaks at their middle; people matched by shared words."""
    from scipy.optimize import linear_sum_assignment

    names = list(dict.fromkeys(s.speaker for s in said.segments))
    shared = np.zeros((len(names), 1 + max(one.voice for one in case.spoken)), np.int64)
    words = 0
    for segment in said.segments:
        for word in segment.words or ():
            middle_s = (word.start + word.end) / 2
            speaking = {one.voice for one in case.spoken if one.start_s <= middle_s <= one.end_s}
            if speaking:
                words += 1
                shared[names.index(segment.speaker), list(speaking)] += 1
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return int(shared[rows, columns].sum()), words


def table(scores: list[Score]) -> str:
    """All of them, each kind together, and other ways beside ours, in Markdown."""
    kinds = {
        kind: [one for one in scores if one.kind == kind]
        for kind in dict.fromkeys(one.kind for one in scores)
    }
    lines = [
        "| recording | people | found | error with collar, % | missed | false | confused "
        "| error, % | words right, % | WER, % | cpWER, % | core-s/h |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(_row(f"{s.kind}: {s.name}", s.people, s.ways[_OURS].people, [s]) for s in scores),
    ]
    for kind, ours in kinds.items():
        lines.append(_row(f"**{kind}, all**", f"{len(ours)} recordings", _right(ours, _OURS), ours))
    ways = (_OURS, *PUBLISHED)
    lines += [
        "",
        "| errors with collar and without, %; number right | " + " | ".join(ways) + " |",
        "|---|" + "--:|" * len(ways),
    ]
    for kind, ours in kinds.items():
        cells = [f"{_rate(ours, w, 1)} / {_rate(ours, w, 0)}; {_right(ours, w)}" for w in ways]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _row(name: str, people: object, found: object, scores: list[Score]) -> str:
    parts = [_rate(scores, _OURS, 1, (part,)) for part in ("missed_s", "false_s", "confused_s")]
    words = [one.words for one in scores if one.words]
    by_word = ["", "", ""]
    if words:
        said = sum(one.said for one in words)
        by_word = [
            f"{100 * sum(one.right for one in words) / sum(one.heard for one in words):.1f}",
            f"{100 * sum(one.errors for one in words) / said:.1f}",
            f"{100 * sum(one.errors_by_speaker for one in words) / said:.1f}",
        ]
    cost = f"{3600 * sum(s.core_s for s in scores) / sum(s.duration_s for s in scores):.0f}"
    rates = [_rate(scores, _OURS, 1), *parts, _rate(scores, _OURS, 0)]
    return "| " + " | ".join((name, str(people), str(found), *rates, *by_word, cost)) + " |"


def _rate(
    scores: list[Score],
    way: str,
    collar: int,
    parts: tuple[str, ...] = ("missed_s", "false_s", "confused_s"),
) -> str:
    ours = [one.ways[way] for one in scores]
    errors = sum(getattr(one, part)[collar] for one in ours for part in parts)
    return f"{100 * errors / sum(one.total_s[collar] for one in ours):.1f}"


def _right(scores: list[Score], way: str) -> str:
    right = sum(one.ways[way].people == one.people for one in scores)
    return f"{right} of {len(scores)} right"


def main() -> None:
    """Score all that is not kept, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--more", type=Path, default=MORE_SPEECH_FOLDER, metavar="FOLDER")
    parser.add_argument("--long", action="store_true", help="also conversations of an hour")
    parser.add_argument("--again", action="store_true", help="forget what an earlier run kept")
    parser.add_argument("--only", metavar="KIND", help="generated, read or AMI")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS_FOLDER.mkdir(parents=True, exist_ok=True)
    path = RESULTS_FOLDER / _KEPT
    kept: dict[str, Any] = {}
    if path.is_file() and not arguments.again:
        kept = json.loads(path.read_text(encoding="utf-8"))
    code = _code_sha256()
    scores: list[Score] = []
    for case in cases(arguments.more, with_long=arguments.long):
        if arguments.only not in (None, case.kind):
            continue
        name = f"{code} {case.kind}: {case.name}"
        if name not in kept:
            with tempfile.TemporaryDirectory() as folder:
                kept[name] = score(case, Path(folder)).model_dump()
            part = path.with_suffix(".part")
            part.write_text(json.dumps(kept), encoding="utf-8")
            part.replace(path)
        scores.append(Score.model_validate(kept[name]))
        (RESULTS_FOLDER / "speakers.md").write_text(table(scores), encoding="utf-8")
        print(table(scores[-1:]).splitlines()[2], flush=True)
    print(table(scores))


def _code_sha256() -> str:
    """What tells results of this code from those of other."""
    sources = sources_sha256(tuple(f"speakers/{name}.py" for name in _CODE))
    own = b"".join((Path(__file__).parent / name).read_bytes() for name in _OWN_CODE)
    return sources[:12] + hashlib.sha256(own).hexdigest()[:12]


if __name__ == "__main__":
    main()
