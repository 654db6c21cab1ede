"""Results of benchmarks.speed: kept line by line, summed up as a table and a picture."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contestants import contestant_named


class Trial(NamedTuple):
    """One contestant on one model size in one round, with so much of the recording."""

    contestant: str
    size: str
    round: int
    minutes: float
    seed: int


class Result(NamedTuple):
    """What a trial gave; seconds on the wall clock, `wall_s` with starting and loading."""

    trial: Trial
    wall_s: float
    load_s: float
    transcribe_s: float
    word_error_rate: float
    segments: int
    peak_pss_bytes: int
    cpu_s: float
    about: str


class Row(NamedTuple):
    """Medians of a contestant's rounds on a model size."""

    contestant: str
    minutes: float
    rounds: int
    transcribe_s: float
    wall_s: float
    word_error_rate: float
    peak_pss_bytes: float
    cores_busy: float

    @property
    def pace(self) -> float:
        """Seconds of recording transcribed in a second, without loading."""
        return self.minutes * 60 / self.transcribe_s

    def pace_with_loading(self, minutes: float) -> float:
        """The same for a recording of so many minutes, from the program's start to its end.

        One that was given less would otherwise seem to load longer than it does.
        """
        loading_s = self.wall_s - self.transcribe_s
        return minutes * 60 / (loading_s + minutes * 60 / self.pace)

    @property
    def is_longscribe(self) -> bool:
        """Whether Longscribe ran, with whatever options."""
        return contestant_named(self.contestant).is_longscribe


def append_result(path: Path, result: Result) -> None:
    """Add a line at once, so that an interrupted comparison can go on."""
    line = json.dumps({**result._asdict(), "trial": result.trial._asdict()}, ensure_ascii=False)
    written = path.read_bytes() if path.exists() else b""
    cut_off = written != b"" and not written.endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * cut_off + line + "\n")


def read_results(path: Path) -> list[Result]:
    """All results in a file; a last line cut off by an interruption counts as not there."""
    results: list[Result] = []
    if not path.exists():
        return results
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        results.append(Result(**{**values, "trial": Trial(**values["trial"])}))
    return results


def still_to_run(planned: Iterable[Trial], results: Iterable[Result]) -> list[Trial]:
    """The planned trials without a result yet, in their order."""
    done = {result.trial for result in results}
    return [trial for trial in planned if trial not in done]


def rows_of(results: Iterable[Result], size: str) -> list[Row]:
    """The contestants of a model size, the fastest first."""
    by_contestant: dict[tuple[str, float], list[Result]] = {}
    for result in results:
        if result.trial.size == size:
            key = (result.trial.contestant, result.trial.minutes)
            by_contestant.setdefault(key, []).append(result)
    rows = [
        Row(
            contestant,
            minutes,
            len(rounds),
            statistics.median(one.transcribe_s for one in rounds),
            statistics.median(one.wall_s for one in rounds),
            statistics.median(one.word_error_rate for one in rounds),
            statistics.median(one.peak_pss_bytes for one in rounds),
            statistics.median(one.cpu_s / one.wall_s for one in rounds),
        )
        for (contestant, minutes), rounds in by_contestant.items()
    ]
    return sorted(rows, key=lambda row: row.pace, reverse=True)


def reference_row(rows: Sequence[Row]) -> Row | None:
    """Longscribe as it is called without options, or else its fastest row."""
    own = [row for row in rows if row.is_longscribe]
    plain = [row for row in own if row.contestant == "longscribe"]
    return next(iter([*plain, *own]), None)


_HEADINGS = (
    "program", "minutes", "rounds", "seconds", "x real time", "Longscribe / this",
    "x with loading", "Longscribe / this", "WER %", "peak memory MB", "cores busy",
)  # fmt: skip


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows as Markdown, Longscribe's in bold, with the ratio of Longscribe's pace to each."""
    reference = reference_row(rows)
    longest = max((row.minutes for row in rows), default=0.0)
    lines = [_line(_HEADINGS), "|---|" + "---:|" * (len(_HEADINGS) - 1)]
    for row in rows:
        ratio = f"{reference.pace / row.pace:.2f}" if reference else ""
        loaded = row.pace_with_loading(longest)
        loaded_ratio = f"{reference.pace_with_loading(longest) / loaded:.2f}" if reference else ""
        lines.append(
            _line(
                (
                    f"**{row.contestant}**" if row.is_longscribe else row.contestant,
                    f"{row.minutes:g}",
                    str(row.rounds),
                    f"{row.transcribe_s:.1f}",
                    f"{row.pace:.1f}",
                    ratio,
                    f"{loaded:.1f}",
                    loaded_ratio,
                    f"{100 * row.word_error_rate:.2f}",
                    f"{row.peak_pss_bytes / 1e6:.0f}",
                    f"{row.cores_busy:.2f}",
                )
            )
        )
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def draw(rows_by_size: Mapping[str, Sequence[Row]], caption: str, path: Path) -> None:
    """A picture of the paces, a panel per model size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = [len(rows) for rows in rows_by_size.values()]
    figure, panels = pyplot.subplots(
        len(bars), 1, figsize=(9, 1.6 + 0.3 * sum(bars) + 0.7 * len(bars)), squeeze=False,
        height_ratios=bars, layout="constrained",
    )  # fmt: skip
    for panel, (size, rows) in zip(panels[:, 0], rows_by_size.items(), strict=True):
        paces = [row.pace for row in rows]
        colours = ["#d1495b" if row.is_longscribe else "#9aa5b1" for row in rows]
        drawn = panel.barh(range(len(rows)), paces, color=colours, height=0.72)
        panel.bar_label(drawn, [f"{pace:.1f}" for pace in paces], padding=3, fontsize=8)
        panel.set_yticks(range(len(rows)), [row.contestant for row in rows], fontsize=8)
        for label, row in zip(panel.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if row.is_longscribe else "normal")
        panel.set_ylim(len(rows) - 0.4, -0.6)  # the fastest on top
        panel.set_xlim(0, 1.1 * max(paces))
        panel.set_title(f"model size {size}", loc="left", fontsize=10)
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(axis="y", length=0)
        panel.tick_params(axis="x", labelsize=8)
    panels[-1, 0].set_xlabel("seconds of recording per second, loading left out", fontsize=9)
    figure.suptitle(caption, x=0.01, ha="left", fontsize=8, color="#555555")
    figure.savefig(path, dpi=160)
    pyplot.close(figure)
