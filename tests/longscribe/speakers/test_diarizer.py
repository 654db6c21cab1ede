from pathlib import Path

import numpy as np
import pytest

from longscribe.options import check_options
from longscribe.speakers import community_weights, weights
from longscribe.speakers.built_in import BuiltIn
from longscribe.speakers.community import Community
from longscribe.speakers.diarizer import check_diarizer, find_diarizer
from tests.longscribe.speakers.made_pyannote import write_pipeline, write_pyannote
from tests.longscribe.speakers.networks import write_networks

HALF_HOUR = 1800 * 16_000


def test_the_option_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = write_networks(tmp_path)
    monkeypatch.setattr("longscribe.speakers.diarizer.find_weights", lambda: made)
    built_in = find_diarizer(check_options(recording="a", speakers="2-5"))
    assert built_in == BuiltIn(made, (2, 5))
    write_pyannote(tmp_path / "packages", monkeypatch)
    folder = write_pipeline(tmp_path / "copy")
    chosen = check_options(recording="a", speakers="3", diarization_model=folder)
    check_diarizer(chosen)
    community = find_diarizer(chosen)
    assert community == Community(community_weights.find_weights(folder), (3, 3))
    spoken = np.array([[0.0, 1800.0]])
    assert len(built_in.parts(Path("a.pcm"), HALF_HOUR, spoken)) == 3
    assert len(community.parts(Path("a.pcm"), HALF_HOUR, spoken)) == 1


def test_nothing_is_needed_where_no_voices_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_NEEDED", ("no_such_module_at_all",))
    check_diarizer(check_options(recording="a", speakers="channels"))
    with pytest.raises(weights.ModelError, match=r"longscribe\[speakers\]"):
        check_diarizer(check_options(recording="a", speakers="auto"))
