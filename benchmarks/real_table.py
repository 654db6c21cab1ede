"""Results of benchmarks.real: kept line by line, summed up as a table for every recording."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contestant import Segment
from benchmarks.contestants import contestant_named
from benchmarks.real_recordings import CLIP_DURATIONS_S, RealRecording
from benchmarks.real_scores import BoundaryErrors, Scores, score

HOUR_S = 3600.0


class Trial(NamedTuple):
    """One contestant on one recording, with weights of one name."""

    recording: str
    contestant: str
    model: str


class Result(NamedTuple):
    """What a trial gave.

    Attributes:
        trial: what was run.
        wall_s: from the start of the program's process to its end.
        load_s: starting and loading.
        transcribe_s: the work, without them.
        cpu_s: core-seconds of all its processes, starting and loading included.
        peak_pss_bytes: the most memory that they held, shared pages counted once.
        segments: what it wrote.
        text: the same as one text.
        about: how the program was built, where it can tell.
        machine: where it ran.
        versions: of the programs.
    """

    trial: Trial
    wall_s: float
    load_s: float
    transcribe_s: float
    cpu_s: float
    peak_pss_bytes: int
    segments: tuple[Segment, ...]
    text: str
    about: str
    machine: str
    versions: str


class Row(NamedTuple):
    """A contestant's line of a recording's table."""

    contestant: str
    result: Result
    scores: Scores
    duration_s: float


class _Column(NamedTuple):
    heading: str
    value: Callable[[Row], float | None]
    shown: str = "{:.1f}"
    best: Callable[[Iterable[float]], float] | None = min  # None: neither is better


def _starts_s(row: Row, percentile_90: bool) -> float | None:
    return _boundary_s(row.scores.starts, percentile_90)


def _ends_s(row: Row, percentile_90: bool) -> float | None:
    return _boundary_s(row.scores.ends, percentile_90)


def _boundary_s(errors: BoundaryErrors | None, percentile_90: bool) -> float | None:
    if errors is None:
        return None
    return errors.percentile_90_s if percentile_90 else errors.median_s


def _errors(row: Row, name: str, factor: int = 1) -> float | None:
    errors = row.scores.errors
    return None if errors is None else factor * float(getattr(errors, name))


def _language_errors(row: Row) -> float | None:
    share = row.scores.language_errors
    return None if share is None else 100 * share


_COLUMNS = (
    _Column("WER %", lambda row: _errors(row, "rate", 100), "{:.2f}"),
    _Column("lost", lambda row: _errors(row, "lost"), "{:.0f}"),
    _Column("invented", lambda row: _errors(row, "invented"), "{:.0f}"),
    _Column("substituted", lambda row: _errors(row, "substituted"), "{:.0f}"),
    _Column("words where nobody speaks", lambda row: row.scores.words_outside, "{:.0f}"),
    _Column("language errors %", _language_errors),
    _Column("start off, median s", lambda row: _starts_s(row, False), "{:.2f}"),
    _Column("start off, 90 % s", lambda row: _starts_s(row, True), "{:.2f}"),
    _Column("end off, median s", lambda row: _ends_s(row, False), "{:.2f}"),
    _Column("end off, 90 % s", lambda row: _ends_s(row, True), "{:.2f}"),
    _Column("segments", lambda row: len(row.result.segments), "{:.0f}", None),
    _Column("seconds", lambda row: row.result.transcribe_s),
    _Column("x real time", lambda row: row.duration_s / row.result.transcribe_s, best=max),
    _Column(
        "core-seconds per hour",
        lambda row: row.result.cpu_s * HOUR_S / row.duration_s,
        "{:.0f}",
    ),
    _Column("peak memory MB", lambda row: row.result.peak_pss_bytes / 1e6, "{:.0f}"),
)


def append_result(path: Path, result: Result) -> None:
    """Add a line at once, so that an interrupted comparison can go on."""
    values = {**result._asdict(), "trial": result.trial._asdict()}
    values["segments"] = [segment._asdict() for segment in result.segments]
    written = path.read_bytes() if path.exists() else b""
    cut_off = written != b"" and not written.endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * cut_off + json.dumps(values, ensure_ascii=False) + "\n")


def read_results(path: Path) -> list[Result]:
    """All results in a file; a last line cut off by an interruption counts as not there."""
    results: list[Result] = []
    if not path.exists():
        return results
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            values: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        values["trial"] = Trial(**values["trial"])
        values["segments"] = tuple(Segment(**one) for one in values["segments"])
        results.append(Result(**values))
    return results


def still_to_run(planned: Iterable[Trial], results: Iterable[Result]) -> list[Trial]:
    """The planned trials without a result yet, in their order."""
    done = {result.trial for result in results}
    return [trial for trial in planned if trial not in done]


def rows_of(results: Iterable[Result], recording: RealRecording) -> list[Row]:
    """The contestants of a recording, the fastest first."""
    rows = [
        Row(
            result.trial.contestant,
            result,
            score(recording, result.segments, result.text),
            recording.duration_s,
        )
        for result in results
        if result.trial.recording == recording.name
    ]
    return sorted(rows, key=lambda row: row.result.transcribe_s)


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows as Markdown, the best value of each column in bold; empty columns are left out."""
    columns = [one for one in _COLUMNS if any(one.value(row) is not None for row in rows)]
    lines = [_line(["program", *(one.heading for one in columns)])]
    lines.append("|---|" + "---:|" * len(columns))
    cells = [[row.contestant for row in rows], *(_cells(one, rows) for one in columns)]
    lines += [_line(line) for line in zip(*cells, strict=True)]
    return "\n".join(lines) + "\n"


def _cells(column: _Column, rows: Sequence[Row]) -> list[str]:
    values = [column.value(row) for row in rows]
    shown = ["–" if value is None else column.shown.format(value) for value in values]
    if column.best is None:
        return shown
    # Equal as shown is equally good.
    best = column.shown.format(column.best(value for value in values if value is not None))
    return [f"**{cell}**" if cell == best else cell for cell in shown]


def whole_commands_table(results: Iterable[Result]) -> str:
    """Wall seconds of whole programs for the clips, the least of each in bold."""
    wall_s: dict[str, dict[str, float]] = {}
    for result in results:
        if result.trial.recording in CLIP_DURATIONS_S:
            of_clips = wall_s.setdefault(result.trial.contestant, {})
            of_clips[result.trial.recording] = whole_command_s(result)
    clips = [name for name in CLIP_DURATIONS_S if any(name in one for one in wall_s.values())]
    if not clips:
        return ""
    best = {name: min(one[name] for one in wall_s.values() if name in one) for name in clips}
    lines = [_line(["program", *(name.replace("_", " ") + ", s" for name in clips)])]
    lines.append("|---|" + "---:|" * len(clips))
    for contestant, of_clips in wall_s.items():
        cells = [_second_cell(of_clips.get(name), best[name]) for name in clips]
        lines.append(_line([contestant, *cells]))
    return "\n".join(lines) + "\n"


def whole_command_s(result: Result) -> float:
    """Seconds from a program's start to its end, as its user waits for it.

    Longscribe's command is started by the process that measures it, the others are imported there.
    """
    if contestant_named(result.trial.contestant).is_longscribe:
        return result.load_s + result.transcribe_s
    return result.wall_s


def report(
    results: Sequence[Result], recordings: Mapping[str, RealRecording], model: str, preface: str
) -> str:
    """All tables of one model's results as a Markdown page; the newest result of a trial counts."""
    newest = {result.trial: result for result in results if result.trial.model == model}
    text = [f"# Real speech, weights {model}\n\n"]
    for machine, versions in sorted({(one.machine, one.versions) for one in newest.values()}):
        text.append(f"{machine}\n\n{versions}\n\n")
    text.append(preface)
    for name, recording in recordings.items():
        rows = rows_of(newest.values(), recording)
        if rows:
            about = f"{recording.duration_s / 60:.1f} min, language {recording.language}"
            text.append(f"\n## {name}\n\n{about}\n\n{markdown_table(rows)}")
    whole = whole_commands_table(newest.values())
    if whole:
        text.append(f"\n## Whole commands\n\nStarting and loading included.\n\n{whole}")
    text += [f"\n{about}\n" for about in sorted({one.about for one in newest.values()} - {""})]
    return "".join(text)


def _second_cell(seconds: float | None, best_s: float) -> str:
    if seconds is None:
        return "–"
    return f"**{seconds:.1f}**" if seconds == best_s else f"{seconds:.1f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
