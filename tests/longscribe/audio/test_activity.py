"""Activity is the same, whether it is found behind the decoder or afterwards."""

import threading
from pathlib import Path

import numpy as np
import pytest

from longscribe.audio import activity as module
from longscribe.audio.activity import ActivityListener, activity_of
from longscribe.audio.lanes import Lane, hear_lanes
from longscribe.audio.recording import AcceleratedAudio, probe
from tests.longscribe.models.real_weights import SPEECH
from tests.sounds import bursts, write_pcm, write_sound


def audio_of(path: Path, samples: np.ndarray) -> AcceleratedAudio:
    return AcceleratedAudio(
        pcm_path=write_pcm(path / "a.pcm", samples),
        speed=1.0,
        original_samples=len(samples),
        samples=len(samples),
    )


@pytest.mark.parametrize("tempo", [1.0, 1.2])
def test_it_is_the_same_behind_the_decoder(tmp_path: Path, tempo: float) -> None:
    recording = probe(SPEECH / "libri_other_a.opus")
    (ahead,) = hear_lanes([Lane(recording)], tempo, tmp_path, keep_own_tempo=False)
    assert ahead.audio.activity_path is not None
    after = ahead.audio.model_copy(update={"activity_path": None})
    for found, expected in zip(
        activity_of(ahead.audio, "model"), activity_of(after, "model"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_what_was_found_while_it_was_written_is_not_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sound(tmp_path / "a.wav", bursts([(0.5, 3.0)], 4.0))
    (lane,) = hear_lanes([Lane(probe(path))], 1.0, tmp_path, keep_own_tempo=False)
    monkeypatch.delattr(module, "levels_db")
    monkeypatch.delattr(module, "speech_probabilities")
    assert activity_of(lane.audio, "model").sound == pytest.approx(
        np.asarray([[0.4, 3.1]]), abs=0.05
    )


def test_a_file_that_is_written_anew_is_heard_anew(tmp_path: Path) -> None:
    # So quiet that it is decoded once more, and brought up.
    path = write_sound(tmp_path / "a.wav", 0.001 * bursts([(0.5, 30.0), (40.0, 70.0)], 80.0))
    (lane,) = hear_lanes([Lane(probe(path))], 1.0, tmp_path, keep_own_tempo=False)
    assert lane.audio.gain_db > 0
    after = lane.audio.model_copy(update={"activity_path": None})
    np.testing.assert_array_equal(
        activity_of(lane.audio, "model").levels, activity_of(after, "model").levels
    )


def test_a_disk_without_room_for_it_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    path = write_sound(tmp_path / "a.wav", bursts([(0.5, 3.0)], 4.0))
    (lane,) = hear_lanes([Lane(probe(path))], 1.0, tmp_path, keep_own_tempo=False)
    assert lane.audio.activity_path is None
    assert len(activity_of(lane.audio, "model").sound) == 1


def test_its_threads_end_with_it(tmp_path: Path) -> None:
    with ActivityListener(write_pcm(tmp_path / "a.pcm", np.zeros(999_999)), "model") as listener:
        listener.reach(999_999)
    assert not [one for one in threading.enumerate() if one.name.startswith(("levels", "speech"))]


@pytest.mark.parametrize(("detector", "expected"), [("level", [[0.4, 1.1]]), ("off", [[0.0, 2.0]])])
def test_the_network_can_be_turned_off(
    tmp_path: Path, detector: str, expected: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = audio_of(tmp_path, bursts([(0.5, 1.0)], 2.0))
    monkeypatch.delattr(module, "speech_probabilities")
    found = activity_of(audio, detector).speech  # type: ignore[arg-type]
    assert found == pytest.approx(np.asarray(expected), abs=0.05)


def test_nothing_is_in_nothing(tmp_path: Path) -> None:
    audio = audio_of(tmp_path, np.empty(0, np.float32))
    for detector in ("model", "level", "off"):
        assert len(activity_of(audio, detector).speech) == 0  # type: ignore[arg-type]
