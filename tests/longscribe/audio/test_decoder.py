"""One track, whatever its frames are like."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.audio import recording as audio
from longscribe.audio.decoder import AudioDecoder
from tests.sounds import RATE_HZ, bursts, write_sound


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Blocks stay small however long the file: nothing is collected on the way."""
    path = write_sound(tmp_path / "long.flac", bursts([(0.0, 300.0)], 300.0))
    blocks = audio.decode(audio.probe(path))
    sizes = [len(block) for block in itertools.islice(blocks, 10_000)]
    assert sum(sizes) == 300 * RATE_HZ
    assert max(sizes) < 2 * RATE_HZ


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.opus", "a.wav"])
def test_frames_that_are_joined_sound_as_they_did_one_by_one(tmp_path: Path, name: str) -> None:
    samples = bursts([(0.3, 2.0), (2.5, 4.9)], 5.3)
    path = write_sound(tmp_path / name, samples, rate_hz=48_000)
    joined = np.concatenate(list(audio.decode(audio.probe(path))))
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        one_by_one = [out.to_ndarray()[0] for frame in frames for out in resampler.resample(frame)]
    assert np.array_equal(joined, np.concatenate(one_by_one))


def test_a_track_may_change_its_channels_midway(tmp_path: Path) -> None:
    """Two recordings in one file, one after the other, as some recorders append them."""
    parts = [
        write_sound(
            tmp_path / f"{layout}.flac", bursts([(0.5, 1.0)], 2.5), rate_hz=48_000, layout=layout
        )
        for layout in ("mono", "stereo")
    ]
    both = tmp_path / "both.flac"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with av.open(str(both)) as container:
        decoder = AudioDecoder([container], 5.0, RATE_HZ)
        heard = np.concatenate(list(decoder.blocks()))
    assert len(heard) / RATE_HZ == pytest.approx(5.0, abs=0.1)
    loud_s = np.flatnonzero(np.abs(heard) > 0.05) / RATE_HZ
    assert loud_s[0] == pytest.approx(0.5, abs=0.05)
    assert loud_s[-1] == pytest.approx(3.5, abs=0.1)


def test_a_hole_in_the_track_is_as_long_in_the_samples(tmp_path: Path) -> None:
    """Frames from before the hole come before its silence, although they were being joined."""
    path = tmp_path / "hole.mkv"
    sound = (bursts([(0.0, 0.4)], 0.4) * 32767).astype(np.int16).reshape(1, -1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for start_s in (0, 2):
            frame = av.AudioFrame.from_ndarray(sound, "s16", "mono")
            frame.sample_rate, frame.pts = RATE_HZ, start_s * RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        decoder = AudioDecoder([container], 2.4, RATE_HZ)
        heard = np.concatenate(list(decoder.blocks()))
    assert decoder.filled_samples == pytest.approx(1.6 * RATE_HZ, abs=0.02 * RATE_HZ)
    loud_s = np.flatnonzero(np.abs(heard) > 0.05) / RATE_HZ
    assert not np.any((loud_s > 0.45) & (loud_s < 1.95))
    assert loud_s[-1] > 2.3
