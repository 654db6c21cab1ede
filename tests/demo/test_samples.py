"""The two bundled recordings and their references."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import av
import pytest

DEMO = Path(__file__).parents[2] / "demo"


@pytest.mark.parametrize(("name", "language"), [("sample", "en"), ("sample-pt", "pt")])
def test_reference_fits_the_recording(name: str, language: str) -> None:
    path = DEMO / f"{name}.opus"
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        length_s = sum(frame.samples for frame in container.decode(stream)) / stream.rate
    assert 180 <= length_s <= 301
    assert path.stat().st_size < 1.5e6
    rows = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert {row["language"] for row in rows} == {language}
    assert len({row["voice"] for row in rows}) >= 3
    end_s = 0.0
    for row in rows:
        assert end_s <= row["start"] < row["end"] <= length_s
        assert row["text"][-1] in ".?"
        end_s = row["end"]
    pauses_s = [later["start"] - row["end"] for row, later in pairwise(rows)]
    assert max(pauses_s) > 2.0
