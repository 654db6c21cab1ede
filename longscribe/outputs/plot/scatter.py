"""Points as a picture: what costs more against what is worse, and which of them nothing beats.

SVG from a template, as the picture of a run.
"""

import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, NamedTuple

_WIDTH: Final = 1000
_HEIGHT: Final = 640
_LEFT: Final = 84
_RIGHT: Final = 960
_TOP: Final = 96
_BOTTOM: Final = 536
_MOST_TICKS: Final = 8
_CHAR: Final = 6.6  # of small text, on the average
_LINE: Final = 16.0
_GROUPS: Final = 6  # colours in the template


class Point(NamedTuple):
    """A point: the less of both, the better.

    Attributes:
        x: what it costs.
        y: how bad it is.
        group: points of a group have a colour.
        label: what it is.
        is_marked: whether it is the one to look at.
    """

    x: float
    y: float
    group: str
    label: str
    is_marked: bool = False


class Scatter(NamedTuple):
    """What is drawn; `mark` says what the marked point is."""

    title: str
    subtitle: str
    x_title: str
    y_title: str
    mark: str
    points: Sequence[Point]


class _Dot(NamedTuple):
    x: float
    y: float
    colour: int
    tip: str
    is_marked: bool


class _Text(NamedTuple):
    x: float
    y: float
    text: str
    anchor: str = "start"


class _Axis(NamedTuple):
    """From values to the picture's units; it begins at zero."""

    step: float
    most: float
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> "_Axis":
        most = max(max(values, default=0.0), 1e-9) * 1.05
        power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
        step = next(power * n for n in (1, 2, 5, 10) if most / (power * n) <= _MOST_TICKS)
        return cls(step, step * math.ceil(most / step), start, end)

    def at(self, value: float) -> float:
        return round(self.start + (self.end - self.start) * value / self.most, 1)

    def ticks(self) -> list[tuple[float, str]]:
        values = [n * self.step for n in range(round(self.most / self.step) + 1)]
        return [(self.at(value), f"{value:.6g}") for value in values]


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in both ways, the cheapest first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda one: (one.x, one.y)):
        if not found or point.y < found[-1].y:
            found.append(point)
    return found


def scatter(drawn: Scatter) -> str:
    """The picture as SVG."""
    # Only here: other commands need not load it.
    from jinja2 import Environment

    across = _Axis.of([point.x for point in drawn.points], _LEFT, _RIGHT)
    up = _Axis.of([point.y for point in drawn.points], _BOTTOM, _TOP)
    groups = list(dict.fromkeys(point.group for point in drawn.points))
    dots = [
        _Dot(
            x=across.at(point.x),
            y=up.at(point.y),
            colour=groups.index(point.group) % _GROUPS,
            tip=f"{point.label}: {point.x:.1f}, {point.y:.2f}",
            is_marked=point.is_marked,
        )
        for point in drawn.points
    ]
    best = front(drawn.points)
    told = [*best, *(one for one in drawn.points if one.is_marked and one not in best)]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("longscribe.outputs.plot").joinpath("scatter.svg").read_text(encoding="utf-8")
    )
    return template.render(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_RIGHT,
        top=_TOP,
        bottom=_BOTTOM,
        drawn=drawn,
        across=across.ticks(),
        up=up.ticks(),
        dots=dots,
        line=" ".join(f"{across.at(point.x)},{up.at(point.y)}" for point in best),
        labels=_labels(told, across, up),
        legend=_legend(groups, drawn.mark),
    )


def _labels(points: Sequence[Point], across: _Axis, up: _Axis) -> list[_Text]:
    """A label beside each point, moved down where it would lie over another."""
    placed: list[_Text] = []
    taken: list[tuple[float, float, float]] = []  # left, right, y
    for point in sorted(points, key=lambda one: -one.y):
        x, y, width = across.at(point.x), up.at(point.y) - 10.0, _CHAR * len(point.label)
        ends = x + 12.0 + width > _WIDTH
        left = x - 12.0 - width if ends else x + 12.0
        while any(a < left + width and left < b and abs(y - at) < _LINE for a, b, at in taken):
            y += 2.0
        taken.append((left, left + width, y))
        placed.append(_Text(x - 12.0 if ends else left, y, point.label, "end" if ends else "start"))
    return placed


def _legend(groups: Sequence[str], mark: str) -> list[tuple[float, int, str]]:
    """Where each entry is, its colour (-1 for the mark's ring), and its words."""
    entries, x = [], float(_LEFT)
    for colour, words in [*((n % _GROUPS, group) for n, group in enumerate(groups)), (-1, mark)]:
        entries.append((x, colour, words))
        x += 44.0 + _CHAR * len(words)
    return entries
