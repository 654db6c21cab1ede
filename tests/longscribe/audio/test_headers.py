"""What FFmpeg hears is heard, whatever headers say: lengths, tracks, chains, holes."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.audio.ogg_links import FilePart, ogg_links
from longscribe.audio.recording import AcceleratedAudio, Recording, accelerate, probe, read_samples
from longscribe.audio.wave_header import wave_data
from longscribe.errors import RecordingError
from tests.sounds import RATE_HZ, bursts, write_sound

TALK = bursts([(0.5, 1.5), (3.0, 4.5)], 5.0)


def heard(path: Path, track: int | None = None) -> tuple[Recording, AcceleratedAudio, np.ndarray]:
    recording = probe(path, track)
    audio = accelerate(recording, 1.0, path.with_suffix(".pcm"))
    return recording, audio, read_samples(audio.pcm_path, 0, audio.samples) / 32768.0


def loud_s(samples: np.ndarray) -> tuple[float, float]:
    """When the first and the last loud sample are."""
    places = np.flatnonzero(np.abs(samples) > 0.05) / RATE_HZ
    return float(places[0]), float(places[-1])


def declare(path: Path, data_bytes: int) -> Path:
    """Write another size of the samples into a WAV file's header."""
    content = path.read_bytes()
    place = content.index(b"data") + 4
    riff = struct.pack("<I", place + data_bytes - 4)
    path.write_bytes(
        content[:4] + riff + content[8:place] + struct.pack("<I", data_bytes) + content[place + 4 :]
    )
    return path


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_a_wav_whose_header_declares_too_little_is_read_whole(tmp_path: Path, rate_hz: int) -> None:
    path = write_sound(tmp_path / "a.wav", TALK, rate_hz=rate_hz)
    recording, audio, samples = heard(declare(path, 2 * rate_hz))
    assert recording.is_undeclared
    assert recording.declared_duration_s == pytest.approx(5.0, abs=0.01)
    assert audio.original_duration_s == pytest.approx(5.0, abs=0.01)
    assert audio.missing_s == 0.0
    assert loud_s(samples) == (pytest.approx(0.5, abs=0.05), pytest.approx(4.5, abs=0.05))


def test_a_size_that_went_round_at_4_gb(tmp_path: Path) -> None:
    """The size modulo 2**32 is what a recorder writes: any number below what is there."""
    path = declare(write_sound(tmp_path / "a.wav", TALK), 101_000)
    assert heard(path)[1].original_duration_s == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize(
    "tail",
    [
        b"LIST" + struct.pack("<I", 16) + b"INFOINAM" + struct.pack("<I", 4) + b"talk",
        b"id3 " + struct.pack("<I", 8000) + bytes(8000),
        b"bext" + struct.pack("<I", 7001) + bytes(7002),
    ],
)
def test_chunks_behind_the_samples_are_no_samples(tmp_path: Path, tail: bytes) -> None:
    path = write_sound(tmp_path / "a.wav", TALK)
    path.write_bytes(path.read_bytes() + tail)
    data = wave_data(path)
    assert data is not None
    assert not data.is_undeclared
    recording, audio, _ = heard(path)
    assert not recording.is_undeclared
    assert audio.original_duration_s == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_that_is_still_being_written_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    path = write_sound(tmp_path / "a.wav", TALK)
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + struct.pack("<I", size) + content[place + 4 :])
    assert heard(path)[1].original_duration_s == pytest.approx(5.0, abs=0.05)


def test_a_wav_that_was_cut_short_says_how_much_is_missing(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", TALK)
    path.write_bytes(path.read_bytes()[: 44 + 3 * RATE_HZ * 2])
    _, audio, _ = heard(path)
    assert audio.missing_s == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\5"])
def test_what_is_no_whole_header_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert wave_data(tmp_path / "a.wav") is None


def with_tracks(path: Path, *tracks: np.ndarray) -> Path:
    """A film's sound: several tracks side by side."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=RATE_HZ, layout="mono") for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
            for part in (frame, None):
                container.mux(stream.encode(part))
    return path


OTHER = bursts([(2.0, 2.8)], 5.0, seed=1)
SILENCE = np.zeros(5 * RATE_HZ, np.float32)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_a_silent_first_track_is_passed_over(tmp_path: Path, suffix: str) -> None:
    recording, _, samples = heard(with_tracks(tmp_path / f"a.{suffix}", SILENCE, OTHER))
    assert (recording.track, recording.tracks, recording.silent_tracks) == (2, 2, (1,))
    assert loud_s(samples) == (pytest.approx(2.0, abs=0.1), pytest.approx(2.8, abs=0.1))


def test_of_tracks_with_sound_the_first_is_heard_and_any_can_be_chosen(tmp_path: Path) -> None:
    path = with_tracks(tmp_path / "a.mp4", TALK, OTHER)
    assert heard(path)[0].track == 1
    recording, _, samples = heard(path, 2)
    assert recording.track == 2
    assert loud_s(samples)[0] == pytest.approx(2.0, abs=0.1)
    with pytest.raises(RecordingError, match=r"has 2 audio track\(s\) and no track 3"):
        probe(path, 3)


def test_of_silent_tracks_the_first_is_heard(tmp_path: Path) -> None:
    recording = probe(with_tracks(tmp_path / "a.mp4", SILENCE, SILENCE))
    assert (recording.track, recording.silent_tracks) == (1, (1, 2))


def test_a_long_track_is_listened_to_in_places(tmp_path: Path) -> None:
    late = np.concatenate([np.zeros(80 * RATE_HZ, np.float32), bursts([(0.0, 40.0)], 40.0)])
    recording = probe(with_tracks(tmp_path / "a.mp4", np.zeros(120 * RATE_HZ, np.float32), late))
    assert recording.track == 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_under_a_longer_picture_misses_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=1)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        for second in range(40):
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            black.pts = second
            container.mux(video.encode(black))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(TALK.reshape(1, -1), "fltp", "mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        for part in (frame, None):
            container.mux(sound.encode(part))
    recording, audio, _ = heard(path)
    assert recording.declared_duration_s == pytest.approx(5.0, abs=0.2)
    assert audio.missing_s == 0.0


def chained(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize(
    ("first", "second"),
    [((48_000, "stereo"), (24_000, "mono")), ((48_000, "mono"), (48_000, "stereo"))],
)
def test_all_links_of_a_chained_ogg_are_heard(
    tmp_path: Path, first: tuple[int, str], second: tuple[int, str]
) -> None:
    parts = [
        write_sound(tmp_path / f"{i}.opus", TALK, rate_hz=rate_hz, layout=layout)
        for i, (rate_hz, layout) in enumerate((first, second))
    ]
    path = chained(tmp_path / "both.ogg", *parts, parts[0])
    assert [end - start for start, end in ogg_links(path)] == [
        part.stat().st_size for part in (*parts, parts[0])
    ]
    _, audio, samples = heard(path)
    assert audio.original_duration_s == pytest.approx(15.0, abs=0.1)
    assert audio.damaged_packets == 0
    for link in range(3):
        part = samples[link * 5 * RATE_HZ :][: 5 * RATE_HZ]
        assert loud_s(part) == (pytest.approx(0.5, abs=0.1), pytest.approx(4.5, abs=0.1))


def test_a_link_that_is_cut_off_ends_the_recording(tmp_path: Path) -> None:
    part = write_sound(tmp_path / "a.opus", TALK)
    path = chained(tmp_path / "both.ogg", part, part)
    path.write_bytes(path.read_bytes()[: part.stat().st_size + 60])
    assert heard(path)[1].original_duration_s == pytest.approx(5.0, abs=0.05)


def test_a_part_of_a_file_reads_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(100)))
    with FilePart(tmp_path / "a", 10, 20) as part:
        assert part.read() == bytes(range(10, 20))
        assert part.seek(-3, 2) == 7
        assert part.read(99) == bytes((17, 18, 19))
        assert part.seek(2) == 2
        assert part.read(3) == bytes((12, 13, 14))
        assert part.tell() == 5


def hole(path: Path, format_: str, codec: str, options: dict[str, str]) -> Path:
    """Speech, 20 s for which no packet came, speech; without a duration in the header."""
    once = write_sound(path.with_suffix(".opus"), TALK, rate_hz=48_000)
    with av.open(str(once)) as source:
        packets = [
            (bytes(packet), packet.pts, packet.time_base, packet.duration)
            for packet in source.demux(audio=0)
            if packet.pts is not None
        ]
    with av.open(str(path), "w", format=format_, options=options) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        for start_s in (0, 25):
            for content, pts, time_base, duration in packets:
                packet = av.Packet(content)
                packet.stream, packet.time_base, packet.duration = stream, time_base, duration
                packet.pts = packet.dts = pts + round(start_s / time_base)
                container.mux(packet)
    return path


def test_a_hole_in_a_file_without_a_duration_keeps_its_length(tmp_path: Path) -> None:
    path = hole(tmp_path / "a.webm", "webm", "libopus", {"live": "1"})
    with av.open(str(path)) as container:
        assert container.duration is None
    _, audio, samples = heard(path)
    assert audio.filled_s == pytest.approx(20.0, abs=0.2)
    assert loud_s(samples[10 * RATE_HZ :])[0] == pytest.approx(15.5, abs=0.2)


def test_time_stamps_that_leap_for_years_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    sound = (TALK * 32767).astype(np.int16).reshape(1, -1)
    with av.open(str(path), "w", options={"live": "1"}) as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for start_s in (0, 400_000):
            frame = av.AudioFrame.from_ndarray(sound, "s16", "mono")
            frame.sample_rate, frame.pts = RATE_HZ, start_s * RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert heard(path)[1].original_duration_s == pytest.approx(10.0, abs=0.1)
