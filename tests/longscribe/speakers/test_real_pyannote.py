"""pyannote.audio's own code with made weights, where the extra `community` is installed."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from longscribe.options.speakers import VoiceCount
from longscribe.speakers.community import Community
from longscribe.speakers.community_weights import find_weights
from tests.longscribe.speakers.real_pyannote import write_real_pipeline

RATE_HZ = 16_000
SECONDS = 14.5


@pytest.fixture
def weights_folder(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pytest.importorskip("pyannote.audio")
        except OSError as error:
            pytest.skip(f"torchaudio does not go with torch: {error}")
        return write_real_pipeline(tmp_path / "copy")


def test_its_own_classes_are_loaded_and_hear(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyannote.audio.telemetry import metrics

    def sent(*_: object, **__: object) -> None:
        raise AssertionError("telemetry")

    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "true")  # and put back
    monkeypatch.setattr(metrics.tracer, "start_as_current_span", sent)
    samples = np.random.default_rng(0).normal(0.0, 2000.0, round(SECONDS * RATE_HZ))
    samples.astype("<i2").tofile(tmp_path / "a.pcm")
    diarizer = Community(find_weights(str(weights_folder)), VoiceCount(1, 3))
    spoken = np.array([[0.0, SECONDS]])
    (part,) = diarizer.parts(tmp_path / "a.pcm", len(samples), spoken)
    assert len(diarizer.key(part)) == 64
    pieces: list[int] = []
    heard = diarizer.hear(part, lambda: pieces.append(1))
    diarizer.check(heard)
    found = diarizer.diarization([(part, heard)], SECONDS, spoken)
    assert found.people.shape == (1, 256)
    assert np.linalg.norm(found.people[0]) == pytest.approx(1.0, abs=1e-4)
    (start_s, end_s, person), *others = found.turns
    assert (start_s, person, others) == (pytest.approx(0.0, abs=0.1), 0, [])
    assert end_s == pytest.approx(SECONDS, abs=0.1)
    assert len(pieces) > 50  # a layer each


def test_its_output_for_nobody_and_for_people_is_read() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        core = pytest.importorskip("pyannote.core")
        try:
            speakers = pytest.importorskip("pyannote.audio.pipelines.speaker_diarization")
        except OSError as error:
            pytest.skip(f"torchaudio does not go with torch: {error}")
    from longscribe.speakers.community import _told

    said = core.Annotation()
    said[core.Segment(3.0, 9.9), 0] = "SPEAKER_00"
    said[core.Segment(1.0, 4.0), 1] = "SPEAKER_01"
    output = speakers.DiarizeOutput(said, said, np.array([[0.0, 2.0], [5.0, 0.0]]))
    heard = _told(output, 9.0)
    assert heard.turns == ((1.0, 4.0, 0), (3.0, 9.0, 1))
    assert heard.heard_embeddings().tolist() == [[1.0, 0.0], [0.0, 1.0]]
    nobody = speakers.DiarizeOutput(core.Annotation(), core.Annotation(), np.zeros((0, 256)))
    assert _told(nobody, 9.0).turns == ()
