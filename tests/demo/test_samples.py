"""The bundled recordings and their references: two of real people, two synthetic."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

DEMO = Path(__file__).parents[2] / "demo"
LICENCES = (DEMO / "LICENCES.md").read_text(encoding="utf-8")
# In seconds: of FLEURS in Portuguese there is less than three minutes to be had.
SHORTEST_S = {"sample": 180, "sample-pt": 140, "synthetic": 180, "synthetic-pt": 180}


def reference(name: str) -> list[dict[str, Any]]:
    return json.loads((DEMO / f"{name}.json").read_text(encoding="utf-8"))


def test_every_recording_is_known_here() -> None:
    assert {path.stem for path in DEMO.glob("*.opus")} == set(SHORTEST_S)


@pytest.mark.parametrize("name", SHORTEST_S)
def test_reference_fits_the_recording(name: str) -> None:
    path = DEMO / f"{name}.opus"
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.channels == 1
        length_s = sum(frame.samples for frame in container.decode(stream)) / stream.rate
    assert SHORTEST_S[name] <= length_s <= 301
    assert path.stat().st_size < 1.5e6
    rows = reference(name)
    assert {row["language"] for row in rows} == {"pt" if name.endswith("-pt") else "en"}
    end_s = 0.0
    for row in rows:
        assert end_s <= row["start"] < row["end"] <= length_s
        assert row["text"].strip()
        for time_s in (row["start"], row["end"]):
            assert time_s == round(time_s, 3)
        end_s = row["end"]


@pytest.mark.parametrize("name", SHORTEST_S)
def test_its_origin_is_told(name: str) -> None:
    assert f"`{name}.opus`" in LICENCES


@pytest.mark.parametrize("name", ["synthetic", "synthetic-pt"])
def test_synthetic_speech_has_several_voices_and_long_pauses(name: str) -> None:
    rows = reference(name)
    assert len({row["voice"] for row in rows}) >= 3
    assert all(row["text"][-1] in ".?" for row in rows)
    assert max(later["start"] - row["end"] for row, later in pairwise(rows)) > 2.0
