"""A run as one picture: chunks over workers, CPU and memory beneath, and the recording's stretches.

SVG from a template: a picture of some tens of KB that needs no drawing library, which would weigh
more than the run's own parent process. Text is escaped by Jinja.
"""

import math
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple

from longscribe.monitoring.resources import ResourceSample
from longscribe.monitoring.run_record import Attempt, RunRecord
from longscribe.outputs.plot.speaker_rows import SpeakerRow, speaker_rows
from longscribe.text.cues import reason_shown
from longscribe.transcript import Kind, Stretch, Transcript, format_time
from longscribe.wording.catalog import translatable, translated

_WIDTH: Final = 1000
_LEFT: Final = 104
_RIGHT: Final = 976
_TOP: Final = 104
_ROW: Final = 24
_ROW_GAP: Final = 5
_CURVE: Final = 84
_BETWEEN: Final = 44
_AXIS: Final = 22
_STRIP: Final = 26
_SPEAKER_ROW: Final = 14
_LEGEND: Final = 48
_PNG_ZOOM: Final = 2
_MOST_ROWS: Final = 64
_CHAR: Final = 8.0  # of small text, at most
_NARROWEST_LABEL: Final = 9.0  # of a digit
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)
_MOST_TICKS: Final = 9
_KINDS: Final[dict[Kind, str]] = {
    "speech": translatable("speech"),
    "silence": translatable("silence"),
    "gap": translatable("gap"),
}


class _Tick(NamedTuple):
    at: float
    label: str
    anchor: str = "middle"


class _Box(NamedTuple):
    kind: str
    x: float
    y: float
    width: float
    height: float
    tip: str
    label: str = ""
    round: bool = False


class _Line(NamedTuple):
    kind: str
    points: str


class _Panel(NamedTuple):
    title: str
    note: str
    y: float
    bottom: float
    across: Sequence[_Tick]
    shows_across: bool = False
    up: Sequence[_Tick] = ()
    ruled: bool = False
    boxes: Sequence[_Box] = ()
    area: str = ""
    lines: Sequence[_Line] = ()
    most: float | None = None
    seams: Sequence[float] = ()


class _Scale(NamedTuple):
    """From seconds to the picture's units."""

    longest_s: float

    def x(self, at_s: float) -> float:
        within_s = min(max(at_s, 0.0), self.longest_s)
        return round(_LEFT + (_RIGHT - _LEFT) * within_s / max(self.longest_s, 1e-6), 1)

    def ticks(self) -> list[_Tick]:
        step_s = next((s for s in _STEPS_S if self.longest_s / s <= _MOST_TICKS), _STEPS_S[-1])
        count = int(self.longest_s // step_s) + 1
        return [_tick(self.x(n * step_s), format_time(n * step_s)) for n in range(count)]


def _tick(at: float, label: str) -> _Tick:
    """A label below its tick, and not beyond the picture's edge."""
    ends = _WIDTH - at < _CHAR * len(label) / 2
    return _Tick(at, label, "end" if ends else "middle")


def plot(transcript: Transcript, record: RunRecord) -> str:
    """The picture as SVG.

    Args:
        transcript: whose stretches are shown.
        record: of the run that made it.
    """
    # Only here: other runs need not load it.
    from jinja2 import Environment

    scale = _Scale(record.seconds)
    across = scale.ticks()
    panels: list[_Panel] = []
    y = float(_TOP)
    if record.attempts:
        panels.append(_timeline(record, scale, across, y))
        y = panels[-1].bottom + _BETWEEN
    if record.samples:
        panels.append(_cpu(record, scale, across, y))
        panels.append(_memory(record, scale, across, panels[-1].bottom + _BETWEEN))
        y = panels[-1].bottom + _AXIS + _BETWEEN
    if named := speaker_rows(transcript):
        panels.append(_speakers(named, transcript.duration_s, y))
        y = panels[-1].bottom + _BETWEEN
    panels.append(_recording(transcript, record, y))
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("longscribe.outputs.plot").joinpath("plot.svg").read_text(encoding="utf-8")
    )
    return template.render(
        width=_WIDTH,
        height=panels[-1].bottom + _AXIS + _LEGEND,
        left=_LEFT,
        right=_RIGHT,
        title=_printable(transcript.recording),
        subtitle=_subtitle(transcript, record),
        panels=panels,
        legend=_legend(transcript, record),
    )


def as_png(svg: str) -> bytes:
    """The picture as PNG, twice its size in pixels; text needs a sans-serif font on the machine."""
    # Only here: other runs need not load it.
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=_PNG_ZOOM))


def _subtitle(transcript: Transcript, record: RunRecord) -> str:
    done = [row for row in record.chunks if row.outcome == "done"]
    kept = sum(row.outcome == "kept" for row in record.chunks)
    values = {
        "duration": format_time(transcript.duration_s),
        "chunks": len(record.chunks),
        "kept": kept,
        "seconds": record.seconds,
        "pace": sum(row.end_s - row.start_s for row in done) / max(record.seconds, 1e-6),
        "busy": record.cores_busy,
        "cores": record.cores,
        "memory": record.peak_memory_bytes / 1e9,
    }
    parts = [translated("{duration} of recording, {chunks} chunks")]
    if kept:
        parts[0] += translated(", {kept} of them kept from an earlier run")
    if done:
        parts.append(translated("transcribed in {seconds:.1f} s"))
        parts.append(translated("{pace:.1f} x real time"))
    if record.samples:
        parts.append(translated("{busy:.1f} of {cores} cores busy"))
        parts.append(translated("at most {memory:.2f} GB"))
    return " · ".join(part.format(**values) for part in parts)


def _timeline(record: RunRecord, scale: _Scale, across: list[_Tick], y: float) -> _Panel:
    pids = list(dict.fromkeys(attempt.pid for attempt in record.attempts))
    rows = {pid: y + 4 + n * (_ROW + _ROW_GAP) for n, pid in enumerate(pids[:_MOST_ROWS])}
    boxes = [_bar(one, record, scale, rows[one.pid]) for one in record.attempts if one.pid in rows]
    up = [_Tick(row + _ROW / 2, f"pid {pid}") for pid, row in rows.items()]
    bottom = y + 4 + len(rows) * (_ROW + _ROW_GAP)
    title, note = translated("Workers"), translated("chunks by their number")
    return _Panel(title, note, y, bottom, across, up=up, boxes=boxes)


def _bar(attempt: Attempt, record: RunRecord, scale: _Scale, y: float) -> _Box:
    row = next(row for row in record.chunks if row.position == attempt.chunk_index)
    x = scale.x(attempt.start_s)
    width = max(1.0, round(scale.x(attempt.end_s) - x - 1, 1))
    label = str(attempt.chunk_index + 1)
    seconds = attempt.end_s - attempt.start_s
    tip = translated("chunk {number}, {span}, {seconds:.1f} s")
    if attempt.finished:
        tip += translated(", {pace:.1f} x real time, {words} words")
    else:
        tip += translated(", lost with its worker")
    tip = tip.format(
        number=row.number,
        span=row.span,
        seconds=seconds,
        pace=row.x_real_time,
        words=row.words,
    )
    fits = width >= _NARROWEST_LABEL * len(label)
    kind = "done" if attempt.finished else "lost"
    return _Box(kind, x, y, width, _ROW, tip, label if fits else "", round=True)


def _cpu(record: RunRecord, scale: _Scale, across: list[_Tick], y: float) -> _Panel:
    busy = max(sample.cpu_percent for sample in record.samples) / 100.0
    most = max(float(record.cores), busy) * 1.05

    def height(cores: float) -> float:
        return round(y + _CURVE * (1.0 - min(cores, most) / most), 1)

    each = [
        [(sample.at_s, height(worker.cpu_percent / 100.0)) for sample, worker in seen]
        for seen in _by_worker(record.samples)
    ]
    total = [(sample.at_s, height(sample.cpu_percent / 100.0)) for sample in record.samples]
    return _curves(
        _Panel(
            translated("CPU"),
            translated("cores busy, of {cores}; each worker thin, all thick").format(
                cores=record.cores
            ),
            y,
            y + _CURVE,
            across,
            up=[_Tick(height(0), "0"), _Tick(height(record.cores), str(record.cores))],
            ruled=True,
            most=height(record.cores),
        ),
        scale,
        each,
        total,
    )


def _memory(record: RunRecord, scale: _Scale, across: list[_Tick], y: float) -> _Panel:
    most = max(record.peak_memory_bytes, 1) * 1.1

    def height(size_bytes: float) -> float:
        return round(y + _CURVE * (1.0 - min(size_bytes, most) / most), 1)

    each = [
        [(sample.at_s, height(worker.rss_bytes)) for sample, worker in seen]
        for seen in _by_worker(record.samples)
    ]
    total = [(sample.at_s, height(sample.memory_bytes)) for sample in record.samples]
    step = _round_step(most / 1e9)
    up = [_Tick(height(n * step * 1e9), f"{n * step:g}") for n in range(int(most / 1e9 / step) + 1)]
    title = translated("Memory")
    note = translated("GB; each worker thin, all thick with shared pages counted once")
    panel = _Panel(title, note, y, y + _CURVE, across, shows_across=True, up=up, ruled=True)
    return _curves(panel, scale, each, total)


def _recording(transcript: Transcript, record: RunRecord, y: float) -> _Panel:
    scale = _Scale(transcript.duration_s)
    gaps = len(transcript.gaps)
    seams = [scale.x(seam_s) for seam_s in transcript.seams_s]
    note = translated("silence marked")
    if gaps:
        several = translated("silence and {gaps} gaps marked")
        note = several if gaps > 1 else translated("silence and {gaps} gap marked")
    note = note.format(gaps=gaps) + translated(", lines where it was cut")
    bottom = y + _STRIP
    boxes = [
        _Box(stretch.kind, scale.x(stretch.start), y, width, _STRIP, _tip(stretch))
        for stretch in _drawn(transcript.stretches, transcript.duration_s)
        if (width := round(scale.x(stretch.end) - scale.x(stretch.start), 1)) > 0
    ]
    title = translated("Recording")
    return _Panel(title, note, y, bottom, scale.ticks(), True, boxes=boxes, seams=seams)


def _speakers(named: Sequence[SpeakerRow], duration_s: float, y: float) -> _Panel:
    scale = _Scale(duration_s)
    boxes, up = [], []
    for number, row in enumerate(named):
        top = y + 4 + number * (_SPEAKER_ROW + _ROW_GAP)
        up.append(_Tick(top + _SPEAKER_ROW / 2, _printable(row.label)))
        tip = _printable(f"{row.speaker}, {format_time(row.spoken_s)}")
        for start_s, end_s in row.drawn:
            x = scale.x(start_s)
            width = max(1.0, round(scale.x(end_s) - x, 1))
            boxes.append(_Box(f"speaker{row.colour}", x, top, width, _SPEAKER_ROW, tip))
    bottom = y + 4 + len(named) * (_SPEAKER_ROW + _ROW_GAP)
    note = translated("who speaks when")
    return _Panel(translated("Speakers"), note, y, bottom, scale.ticks(), up=up, boxes=boxes)


def _tip(stretch: Stretch) -> str:
    reason = f": {reason_shown(stretch)}" if stretch.reason else ""
    kind = translated(_KINDS[stretch.kind])
    return _printable(f"{format_time(stretch.start)}-{format_time(stretch.end)} {kind}{reason}")


def _drawn(stretches: Iterable[Stretch], duration_s: float) -> list[Stretch]:
    """At most one stretch for each unit of the picture; a gap is never hidden by its neighbours."""
    width = _RIGHT - _LEFT
    unit_s = max(duration_s, 1e-6) / width
    columns: list[Stretch | None] = [None] * width
    for stretch in stretches:
        first = min(width - 1, int(stretch.start / unit_s))
        last = min(width, max(first + 1, math.ceil(stretch.end / unit_s)))
        for column in range(first, last):
            if _wins(stretch, columns[column], column * unit_s, (column + 1) * unit_s):
                columns[column] = stretch
    drawn: list[Stretch] = []
    for column, found in enumerate(columns):
        if found is None:
            continue
        start_s, end_s = column * unit_s, (column + 1) * unit_s
        last_one = drawn[-1] if drawn else None
        if last_one and (last_one.kind, last_one.reason) == (found.kind, found.reason):
            drawn[-1] = Stretch(last_one.start, end_s, found.kind, found.reason)
        else:
            drawn.append(Stretch(start_s, end_s, found.kind, found.reason))
    return drawn


def _wins(new: Stretch, old: Stretch | None, start_s: float, end_s: float) -> bool:
    if old is None or (new.kind == "gap") != (old.kind == "gap"):
        return old is None or new.kind == "gap"

    def within_s(stretch: Stretch) -> float:
        return min(stretch.end, end_s) - max(stretch.start, start_s)

    return within_s(new) > within_s(old)


def _curves(
    panel: _Panel,
    scale: _Scale,
    each: Iterable[Sequence[tuple[float, float]]],
    total: Sequence[tuple[float, float]],
) -> _Panel:
    lines = [_Line("each", _points(curve, scale)) for curve in each]
    outline = _points(total, scale)
    first, last = scale.x(total[0][0]), scale.x(total[-1][0])
    area = f"{first},{panel.bottom} {outline} {last},{panel.bottom}"
    return panel._replace(area=area, lines=[*lines, _Line("all", outline)])


def _points(curve: Iterable[tuple[float, float]], scale: _Scale) -> str:
    return " ".join(f"{scale.x(at_s)},{y}" for at_s, y in curve)


def _by_worker(samples: Iterable[ResourceSample]) -> list[list[tuple[ResourceSample, Any]]]:
    found: dict[int, list[tuple[ResourceSample, Any]]] = {}
    for sample in samples:
        for worker in sample.workers:
            found.setdefault(worker.pid, []).append((sample, worker))
    return list(found.values())


def _round_step(most: float) -> float:
    """A step of 1, 2 or 5 by a power of ten that makes at most four."""
    power: float = 10.0 ** math.floor(math.log10(max(most, 1e-3) / 4))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= most / 4)


def _legend(transcript: Transcript, record: RunRecord) -> list[dict[str, Any]]:
    items = [
        ("speech", translated("speech, and chunks that were done")),
        ("silence", translated("silence")),
    ]
    lost = any(not attempt.finished for attempt in record.attempts)
    if transcript.gaps or lost:
        items.append(("gap", translated("gaps, and chunks lost with their worker")))
    made, x = [], float(_LEFT)
    for kind, label in items:
        made.append({"kind": kind, "label": label, "x": x})
        x += 40 + 6.6 * len(label)
    return made


def _printable(text: str) -> str:
    """Text without characters that XML cannot hold."""
    return "".join(c if c.isprintable() else " " for c in text)
