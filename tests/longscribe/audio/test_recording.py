from pathlib import Path

import numpy as np
import pytest

from longscribe.audio import recording as audio
from longscribe.errors import RecordingError, ResourceError
from tests.sounds import RATE_HZ, bursts, write_sound


def accelerated(path: Path, speed: float = 1.0) -> audio.AcceleratedAudio:
    return audio.accelerate(audio.probe(path), speed, path.with_suffix(".pcm"))


@pytest.mark.parametrize(
    ("name", "rate_hz", "layout"),
    [
        ("a.wav", 16_000, "mono"),
        ("a.wav", 8_000, "mono"),
        ("a.wav", 44_100, "stereo"),
        ("a.mp3", 44_100, "stereo"),
        ("a.m4a", 44_100, "mono"),
        ("a.flac", 48_000, "stereo"),
        ("a.opus", 48_000, "mono"),
        ("a.ogg", 48_000, "stereo"),
        ("a.webm", 48_000, "mono"),
        ("a.mp4", 44_100, "stereo"),
        ("a.mkv", 48_000, "stereo"),
    ],
)
def test_any_container_rate_and_layout_comes_out_in_place(
    tmp_path: Path, name: str, rate_hz: int, layout: str
) -> None:
    picture = name.endswith(("mp4", "mkv"))
    samples = bursts([(1.0, 1.5), (3.0, 4.0)], 5.0)
    path = write_sound(tmp_path / name, samples, rate_hz=rate_hz, layout=layout, picture=picture)
    result = accelerated(path)
    assert result.original_duration_s == pytest.approx(5.0, abs=0.06)
    heard = audio.to_float(audio.read_samples(result.pcm_path, 0, result.samples))
    loud = np.flatnonzero(np.abs(heard) > 0.05) / RATE_HZ
    assert loud[0] == pytest.approx(1.0, abs=0.05)
    assert loud[-1] == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize("speed", [0.5, 1.2, 1.37, 2.0])
def test_tempo_keeps_the_pitch_and_every_moment_in_place(tmp_path: Path, speed: float) -> None:
    duration_s = 40.0
    samples = np.zeros(round(duration_s * RATE_HZ), np.float32)
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE_HZ // 2) / RATE_HZ)
    starts_s = [1.0, 17.3, 38.9]
    for start_s in starts_s:
        samples[round(start_s * RATE_HZ) :][: len(tone)] = tone
    result = accelerated(write_sound(tmp_path / "tone.wav", samples), speed)
    assert result.original_samples == len(samples)
    assert result.samples == round(len(samples) / speed)
    heard = audio.to_float(audio.read_samples(result.pcm_path, 0, result.samples))
    for start_s in starts_s:
        start, stop = round(start_s / speed * RATE_HZ), round((start_s + 0.5) / speed * RATE_HZ)
        middle = heard[start + 800 : stop - 800]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
        assert np.argmax(spectrum) * RATE_HZ / len(middle) == pytest.approx(500, abs=15)
        around = np.flatnonzero(np.abs(heard[start - 4000 : stop + 4000]) > 0.2) + start - 4000
        assert around[0] / RATE_HZ * speed == pytest.approx(start_s, abs=0.06)


def test_untouched_at_speed_one(tmp_path: Path) -> None:
    samples = bursts([(0.5, 1.0)], 2.0)
    result = accelerated(write_sound(tmp_path / "a.wav", samples))
    heard = audio.read_samples(result.pcm_path, 0, result.samples)
    assert np.abs(heard - np.rint(samples * 32768)).max() <= 1


def test_truncated_mp3_says_how_much_is_missing(tmp_path: Path) -> None:
    whole = write_sound(tmp_path / "whole.mp3", bursts([(0.0, 60.0)], 60.0))
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    result = accelerated(cut)
    assert result.original_duration_s == pytest.approx(20.0, abs=1.0)
    assert result.missing_s == pytest.approx(40.0, abs=1.0)


def test_samples_that_are_not_numbers_become_silence(tmp_path: Path) -> None:
    samples = bursts([(0.5, 1.0)], 2.0)
    samples[100:110] = np.nan
    samples[200] = np.inf
    result = accelerated(write_sound(tmp_path / "nan.wav", samples, codec="pcm_f32le"), 1.2)
    assert result.invalid_samples == 11
    heard = audio.read_samples(result.pcm_path, 0, result.samples)
    assert np.abs(heard[8_000:12_000]).max() > 1000


def test_clipped_samples_are_counted(tmp_path: Path) -> None:
    samples = np.clip(bursts([(0.0, 1.0)], 1.0) * 20, -1, 1).astype(np.float32)
    assert accelerated(write_sound(tmp_path / "loud.wav", samples)).clipped_samples > 1000


def test_sound_that_begins_late_keeps_its_place(tmp_path: Path) -> None:
    import av

    path = tmp_path / "late.mkv"
    samples = bursts([(0.0, 1.0)], 1.0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for number in range(20):
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            black.pts = number
            container.mux(video.encode(black))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(
            (samples * 32767).astype(np.int16).reshape(1, -1), "s16", "mono"
        )
        frame.sample_rate, frame.pts = RATE_HZ, 3 * RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    result = accelerated(path)
    assert result.filled_s == pytest.approx(3.0, abs=0.05)
    assert result.original_duration_s == pytest.approx(4.0, abs=0.05)


def no_sound(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in ("empty.wav", "text.mp3", "zero.wav", "missing.wav")}
    files["empty.wav"].touch()
    files["text.mp3"].write_text("This is a shopping list.\n" * 50)
    files["zero.wav"].write_bytes(
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\0\0\0"
    )
    files["silent-picture.mp4"] = write_sound(
        folder / "silent-picture.mp4", np.empty(0, np.float32), picture=True
    )
    files["folder"] = folder
    return files


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.wav", "does not exist"),
        ("folder", "is a folder"),
        ("empty.wav", "is empty"),
        ("text.mp3", "not a recording"),
        ("silent-picture.mp4", "no audio track"),
        ("zero.wav", "no sound that can be decoded"),
    ],
)
def test_what_is_no_recording_is_told_in_one_sentence(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(RecordingError, match=says) as caught:
        accelerated(no_sound(tmp_path)[name])
    assert "\n" not in str(caught.value)


def test_names_are_paths_not_protocols(tmp_path: Path) -> None:
    samples = bursts([(0.2, 0.4)], 0.5)
    for name in ("10:30 call.wav", 'it\'s "so".wav', "a\nb.wav", "🎙.wav", "-dash.wav", "%03d.wav"):
        path = write_sound(tmp_path / "plain.wav", samples).rename(tmp_path / name)
        assert accelerated(path).original_samples == len(samples)


def test_too_little_disk_is_said_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sound(tmp_path / "a.wav", bursts([(0.0, 1.0)], 30.0))
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(audio.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match="set TMPDIR"):
        accelerated(path)
    assert not path.with_suffix(".pcm").exists()


def test_a_recording_that_changes_meanwhile_is_refused_and_a_deleted_one_is_not(
    tmp_path: Path,
) -> None:
    path = write_sound(tmp_path / "a.wav", bursts([], 70.0))

    def append(_: float) -> None:
        with path.open("ab") as file:
            file.write(bytes(1000))

    with pytest.raises(RecordingError, match="changed while it was read"):
        audio.accelerate(audio.probe(path), 1.0, tmp_path / "a.pcm", append)
    made = audio.accelerate(
        audio.probe(path), 1.0, tmp_path / "a.pcm", lambda _: path.unlink(missing_ok=True)
    )
    assert made.original_duration_s >= 70.0
