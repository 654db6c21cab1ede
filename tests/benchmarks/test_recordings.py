import json
from pathlib import Path

import av
import numpy as np

from benchmarks.recordings import RATE_HZ, Recording, repeated
from tests.sounds import bursts, write_sound


def samples_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])


def test_a_repeated_recording_says_the_same_again(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "talk.flac", bursts([(1.0, 3.0)], 4.0))
    rows = [{"start": 1.0, "end": 3.0, "text": "Helen, the report!"}]
    path.with_suffix(".json").write_text(json.dumps(rows), encoding="utf-8")
    found = repeated(Recording(path, 4.0), 10.0)
    once, twice = samples_of(path), samples_of(found.path)
    assert len(twice) == 10 * RATE_HZ
    assert np.array_equal(twice, np.resize(once, len(twice)))
    assert [(row["start"], row["end"]) for row in found.sentences()] == [(1.0, 3.0), (5.0, 7.0)]
    assert found.word_error_rate("helen the report helen a report") == 1 / 6
