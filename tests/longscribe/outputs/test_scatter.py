"""Points as a picture: valid SVG, the front, labels that can be read, nothing that can run."""

import xml.etree.ElementTree as ElementTree
from itertools import combinations

from longscribe.outputs.plot.plot import as_png
from longscribe.outputs.plot.scatter import Point, Scatter, front, scatter

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>&"
POINTS = [
    Point(10.0, 2.0, "base", "1.0x"),
    Point(8.0, 2.1, "base", "1.2x", is_marked=True),
    Point(8.1, 2.2, "base", "1.2x, 5 beams"),
    Point(4.0, 6.0, "tiny", "1.5x"),
]


def drawn(points: list[Point], title: str = "talk.wav") -> ElementTree.Element:
    return ElementTree.fromstring(scatter(Scatter(title, "", "seconds", "%", "best", points)))


def dots(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [g.find(f"{SVG}circle") for g in root.iter(f"{SVG}g")]


def test_the_front_is_what_nothing_beats() -> None:
    assert front(POINTS) == [POINTS[3], POINTS[1], POINTS[0]]


def test_more_seconds_are_further_right_and_more_errors_higher() -> None:
    first, second, _, fourth = dots(drawn(POINTS))
    assert float(first.get("cx")) > float(second.get("cx")) > float(fourth.get("cx"))
    assert float(first.get("cy")) > float(second.get("cy")) > float(fourth.get("cy"))
    assert (first.get("class"), fourth.get("class")) == ("c0", "c1")


def test_only_the_front_is_labelled_and_no_label_lies_over_another() -> None:
    near = [Point(8.0 + n / 50, 2.0 - n / 500, "base", f"setting {n}") for n in range(6)]
    root = drawn([*near, *POINTS])
    labels = [t for t in root.iter(f"{SVG}text") if t.get("class") == "ink" and not t.get("id")]
    texts = [label.text for label in labels]
    assert "1.2x, 5 beams" not in texts
    assert {"setting 0", "setting 5", "1.2x", "1.5x"} <= set(texts)
    at = [(float(t.get("x")), float(t.get("y"))) for t in labels]
    assert all(abs(a[0] - b[0]) > 50 or abs(a[1] - b[1]) >= 14 for a, b in combinations(at, 2))


def test_all_zero_and_hostile_text_are_drawn_and_can_be_png() -> None:
    root = drawn([Point(1.0, 0.0, HOSTILE, HOSTILE)], HOSTILE)
    assert not list(root.iter(f"{SVG}script"))
    assert HOSTILE in [text.text for text in root.iter(f"{SVG}text")]
    made = scatter(Scatter("a", "", "", "", "", [Point(1.0, 0.0, "a", "a")]))
    assert as_png(made).startswith(b"\x89PNG")
