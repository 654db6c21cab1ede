"""Lanes: channels and files that are heard each by itself."""

from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.audio.lanes import declared_duration_s, hear_lanes, in_order, lanes_of, mute
from longscribe.audio.recording import Recording, probe, read_samples
from longscribe.errors import OptionError, RecordingError
from tests.chunks import chunk
from tests.sounds import RATE_HZ, bursts, write_pcm, write_sound

HOST = bursts([(0.5, 3.0), (7.0, 9.0)], 10.0)
GUEST = bursts([(3.5, 6.5)], 10.0, seed=3)


def write_channels(path: Path, *channels: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    layout = {2: "stereo", 4: "quad", 6: "5.1", 8: "7.1"}[len(channels)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate_hz, layout=layout)
        planes = np.round(np.stack(channels).T.reshape(1, -1) * 32767).astype("<i2")
        frame = av.AudioFrame.from_ndarray(planes, "s16", layout)
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def call(tmp_path: Path) -> Recording:
    return probe(write_channels(tmp_path / "call.wav", HOST + 0.2 * GUEST, GUEST + 0.2 * HOST))


def heard(lanes: list, folder: Path, **options: object) -> list[np.ndarray]:
    found = hear_lanes(lanes, 1.0, folder, keep_own_tempo=False, **options)  # type: ignore[arg-type]
    return [read_samples(one.audio.pcm_path, 0, one.audio.samples) / 32768 for one in found]


def test_an_ordinary_recording_is_one_lane_without_a_name(call: Recording) -> None:
    assert lanes_of([call], by_channel=False, names=["ignored"]) == [(call, "", 0)]


def test_channels_and_files_have_names(call: Recording, tmp_path: Path) -> None:
    named = lanes_of([call], by_channel=True, names=["Host"])
    assert [(lane.name, lane.recording.channel) for lane in named] == [
        ("Host", 1),
        ("Channel 2", 2),
    ]
    one, other = (probe(write_sound(tmp_path / name, HOST)) for name in ("ana.wav", "bo.wav"))
    assert [lane.name for lane in lanes_of([one, other], by_channel=False, names=())] == [
        *("ana", "bo")
    ]
    many = lanes_of([call, one, one], by_channel=True, names=())
    assert [lane.name for lane in many] == [
        *("call, Channel 1", "call, Channel 2", "ana 2", "ana 3")
    ]
    assert [lane.file for lane in many] == [0, 0, 1, 2]
    assert declared_duration_s(many) == pytest.approx(40.0)


def test_one_channel_and_too_many_names_are_refused(call: Recording, tmp_path: Path) -> None:
    mono = probe(write_sound(tmp_path / "mono.wav", HOST))
    with pytest.raises(RecordingError, match=r"mono.wav' has one channel.*--speakers auto"):
        lanes_of([mono], by_channel=True, names=())
    with pytest.raises(OptionError, match="--speaker-names: 3 names for 2"):
        lanes_of([call], by_channel=True, names=["A", "B", "C"])


def test_each_channel_is_heard_without_the_other(call: Recording, tmp_path: Path) -> None:
    host, guest = heard(lanes_of([call], by_channel=True, names=()), tmp_path)
    silent = slice(round(3.8 * RATE_HZ), round(6.2 * RATE_HZ))
    assert not host[silent].any()
    assert np.abs(guest[silent] - GUEST[silent]).max() < 0.01
    loud = slice(round(0.8 * RATE_HZ), round(2.8 * RATE_HZ))
    assert not guest[loud].any()
    assert np.abs(host[loud] - HOST[loud]).max() < 0.01


def test_at_a_tempo_both_copies_are_muted(call: Recording, tmp_path: Path) -> None:
    lanes = lanes_of([call], by_channel=True, names=())
    for keeps in (True, False):
        host, _ = hear_lanes(lanes, 1.25, tmp_path, keep_own_tempo=keeps)
        fast = read_samples(host.audio.pcm_path, 0, host.audio.samples)
        assert not fast[round(3.9 * RATE_HZ / 1.25) : round(6.1 * RATE_HZ / 1.25)].any()
        assert fast[: round(2.5 * RATE_HZ / 1.25)].any()
        assert (host.audio.own_tempo_path is not None) == keeps
        if keeps:
            own = read_samples(host.audio.own_tempo_path, 0, host.audio.original_samples)
            assert not own[round(3.8 * RATE_HZ) : round(6.2 * RATE_HZ)].any()
        assert host.muted_s > 2.0


def test_files_of_other_lengths_and_rates(tmp_path: Path) -> None:
    one = write_sound(tmp_path / "one.wav", HOST + 0.2 * GUEST, rate_hz=44_100)
    other = write_sound(tmp_path / "other.flac", (GUEST + 0.2 * HOST)[: 7 * RATE_HZ], rate_hz=8000)
    lanes = lanes_of([probe(one), probe(other)], by_channel=False, names=())
    host, guest = heard(lanes, tmp_path)
    assert (len(host), len(guest)) == (10 * RATE_HZ, 7 * RATE_HZ)
    assert not host[round(3.8 * RATE_HZ) : round(6.2 * RATE_HZ)].any()
    assert not guest[round(0.8 * RATE_HZ) : round(2.8 * RATE_HZ)].any()


def test_more_channels_than_two_of_which_some_are_silent(tmp_path: Path) -> None:
    path = write_channels(tmp_path / "desk.wav", HOST, 0 * HOST, GUEST, 0 * HOST)
    found = heard(lanes_of([probe(path)], by_channel=True, names=()), tmp_path)
    assert [bool(samples.any()) for samples in found] == [True, False, True, False]


def test_a_quiet_microphone_is_brought_up_and_still_compared_as_it_was(tmp_path: Path) -> None:
    path = write_channels(tmp_path / "call.wav", HOST + 0.2 * GUEST, 0.02 * (GUEST + 0.2 * HOST))
    host, guest = heard(lanes_of([probe(path)], by_channel=True, names=()), tmp_path)
    assert not host[round(3.8 * RATE_HZ) : round(6.2 * RATE_HZ)].any()
    assert not guest[round(0.8 * RATE_HZ) : round(2.8 * RATE_HZ)].any()
    assert np.abs(guest).max() > 0.3


def test_one_sound_in_both_channels_is_refused(tmp_path: Path) -> None:
    path = write_channels(tmp_path / "mono.wav", HOST, HOST)
    with pytest.raises(RecordingError, match=r"mono.wav': all channels hold the same sound"):
        heard(lanes_of([probe(path)], by_channel=True, names=()), tmp_path)


def test_what_is_muted_has_ramps(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "a.pcm", np.full(RATE_HZ, 0.5, np.float32))
    mute(path, np.asarray([[0.25, 0.5], [0.9, 2.0]]), RATE_HZ)
    left = read_samples(path, 0, RATE_HZ)
    assert len(left) == RATE_HZ
    assert left[3999] == left[8001] == 16383
    assert not left[4080:7920].any()
    assert (np.diff(left[4000:4080].astype(int)) <= 0).all()
    assert not left[14_480:-80].any()


def test_chunks_are_in_the_order_in_which_they_lie() -> None:
    first = [chunk(index=0), chunk(index=1, original_start_s=60.0)]
    second = [chunk(index=0, original_start_s=30.0)]
    ordered = in_order([first, second], ["Ana", "Bo"])
    assert [(c.index, c.count, c.lane, c.speaker) for c in ordered] == [
        *((0, 3, 0, "Ana"), (1, 3, 1, "Bo"), (2, 3, 0, "Ana"))
    ]
    assert ordered[1].label.endswith(", Bo")
