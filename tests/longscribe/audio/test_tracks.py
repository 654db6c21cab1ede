"""Which track of a film is heard: what FFmpeg takes, but for tracks in which nobody speaks."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
import pytest

from longscribe.audio.recording import probe
from longscribe.errors import RecordingError
from tests.heard import are_near, ffmpeg_hears, hear, loud_spans, tones

DURATION_S = 5.0
FIRST, SECOND, THIRD = [(0.5, 1.5)], [(2.0, 3.0)], [(3.4, 4.4)]


class Sound(NamedTuple):
    """A track to be written: as loud as `gain`, of a tone that is there in the spans."""

    spans: list[tuple[float, float]]
    gain: float = 1.0
    codec: str = ""
    rate_hz: int = 48_000
    layout: str = "mono"
    duration_s: float = DURATION_S
    hum: float = 0.0
    offset: float = 0.0
    click: float = 0.0
    is_opposite: bool = False
    flags: int = 0

    @property
    def samples(self) -> npt.NDArray[np.float32]:
        samples = self.gain * tones(self.spans, self.duration_s, self.rate_hz)
        times_s = np.arange(len(samples)) / self.rate_hz
        samples += self.hum * np.sin(2 * np.pi * 100 * times_s) + self.offset
        samples[len(samples) // 2 :][:8] += self.click
        channels = av.AudioLayout(self.layout).nb_channels
        values = np.stack([samples] * channels, axis=1)
        if self.is_opposite:
            values[:, 1::2] *= -1
        return values.astype(np.float32).reshape(1, -1)


SILENT = Sound([])
CODECS = {"mp4": "aac", "mov": "aac", "mkv": "libopus", "webm": "libopus", "ts": "aac"}
DEFAULT = 1  # AV_DISPOSITION_DEFAULT


def film(path: Path, sounds: Sequence[Sound]) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for sound in sounds:
            codec = sound.codec or CODECS[path.suffix[1:]]
            stream = container.add_stream(codec, rate=sound.rate_hz, layout=sound.layout)
            stream.disposition = sound.flags
            streams.append(stream)
        for sound, stream in zip(sounds, streams, strict=True):
            frame = av.AudioFrame.from_ndarray(sound.samples, "flt", sound.layout)
            frame.sample_rate, frame.pts = sound.rate_hz, 0
            frame.time_base = Fraction(1, sound.rate_hz)
            resampler = av.AudioResampler(
                stream.codec_context.format.name, sound.layout, sound.rate_hz
            )
            for part in (frame, None):
                for piece in resampler.resample(part):
                    container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize(
    "first",
    [
        pytest.param(SILENT, id="silent"),
        pytest.param(SILENT._replace(hum=0.003), id="faint hum"),
        pytest.param(SILENT._replace(click=0.5), id="a click"),
    ],
)
def test_a_first_track_without_a_voice_is_passed_over(
    tmp_path: Path, suffix: str, first: Sound
) -> None:
    heard = hear(film(tmp_path / f"a.{suffix}", [first, Sound(SECOND)]))
    assert (heard.recording.track, heard.recording.silent_tracks) == (2, (1,))
    assert are_near(heard.spans, SECOND), heard.spans


@pytest.mark.parametrize(
    ("sounds", "track"),
    [
        pytest.param([SILENT, SILENT, Sound(THIRD)], 3, id="two silent"),
        pytest.param([SILENT, Sound(SECOND), Sound(THIRD)], 2, id="the first of two"),
        pytest.param([SILENT, Sound(SECOND), Sound(THIRD, gain=1.9)], 2, id="a louder third"),
        pytest.param([Sound(FIRST, gain=0.05), Sound(SECOND)], 1, id="quiet first"),
        pytest.param([Sound(FIRST), SILENT, SILENT], 1, id="silent others"),
        pytest.param([Sound(FIRST), Sound(SECOND, gain=1.9)], 1, id="louder second"),
        pytest.param([Sound(FIRST), Sound(SECOND, duration_s=3.0)], 1, id="shorter commentary"),
        pytest.param([SILENT, Sound(SECOND, duration_s=3.0)], 2, id="only a short commentary"),
        pytest.param(
            [Sound(FIRST, layout="stereo", is_opposite=True), Sound(SECOND)], 1, id="cancels"
        ),
        pytest.param(
            [SILENT, Sound(SECOND, layout="stereo", is_opposite=True)], 2, id="second cancels"
        ),
        pytest.param(
            [SILENT._replace(offset=0.3, codec="pcm_s16le"), Sound(SECOND)], 2, id="offset"
        ),
        pytest.param(
            [SILENT._replace(codec="ac3"), Sound(SECOND, rate_hz=16_000, codec="flac")],
            2,
            id="codecs and rates",
        ),
        pytest.param(
            [SILENT._replace(layout="5.1", codec="ac3"), Sound(SECOND, codec="mp3")], 2, id="5.1"
        ),
        pytest.param(
            [Sound(FIRST, rate_hz=8000, codec="pcm_s16le"), SILENT._replace(layout="stereo")],
            1,
            id="a silent one of more bits",
        ),
        pytest.param([Sound(FIRST), Sound(SECOND, flags=DEFAULT)], 2, id="second by default"),
        pytest.param([SILENT._replace(flags=DEFAULT), Sound(SECOND)], 2, id="silent by default"),
        pytest.param(
            [SILENT._replace(layout="7.1", codec="pcm_s16le"), Sound(SECOND)], 2, id="7.1"
        ),
    ],
)
def test_the_track_that_is_heard(tmp_path: Path, sounds: list[Sound], track: int) -> None:
    heard = hear(film(tmp_path / "a.mkv", sounds))
    assert heard.recording.track == track
    assert are_near(heard.spans, sounds[track - 1].spans), heard.spans
    assert heard.audio.missing_s == 0.0


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("track", [2, 3])
def test_any_track_can_be_chosen(tmp_path: Path, suffix: str, track: int) -> None:
    sounds = [Sound(FIRST), Sound(SECOND, layout="stereo"), Sound(THIRD, duration_s=4.6)]
    heard = hear(path := film(tmp_path / f"a.{suffix}", sounds), track)
    assert are_near(heard.spans, sounds[track - 1].spans), heard.spans
    theirs = ffmpeg_hears(path, track)
    assert theirs is None or are_near(loud_spans(theirs), heard.spans)


@pytest.mark.parametrize("track", [0, -1, 4, 1000])
def test_a_track_that_is_not_there_is_refused(tmp_path: Path, track: int) -> None:
    path = film(tmp_path / "a.mkv", [Sound(FIRST), Sound(SECOND), SILENT])
    with pytest.raises(RecordingError, match=rf"has 3 audio track\(s\) and no track {track}"):
        probe(path, track)


@pytest.mark.parametrize(
    "sounds",
    [
        [Sound(FIRST), Sound(SECOND)],
        [Sound(FIRST), Sound(SECOND, flags=DEFAULT), Sound(THIRD)],
        [Sound(FIRST, flags=DEFAULT), Sound(SECOND, flags=DEFAULT)],
        [Sound(FIRST), Sound(SECOND, layout="stereo")],
        [Sound(FIRST, flags=DEFAULT), Sound(SECOND, layout="stereo")],
        [Sound(FIRST, layout="stereo"), Sound(SECOND)],
        [Sound(FIRST, codec="pcm_s16le"), Sound(SECOND, codec="flac")],
        [Sound(FIRST, codec="ac3", layout="5.1"), Sound(SECOND, layout="stereo")],
        [Sound(FIRST, layout="stereo"), Sound(SECOND, codec="ac3", layout="5.1")],
        [Sound(FIRST, duration_s=2.0), Sound(SECOND)],
    ],
)
def test_of_tracks_with_sound_the_one_of_ffmpegs_program_is_heard(
    tmp_path: Path, sounds: list[Sound]
) -> None:
    theirs = ffmpeg_hears(path := film(tmp_path / "a.mkv", sounds))
    if theirs is None:
        pytest.skip("FFmpeg's program is not there")
    heard = hear(path)
    assert are_near(heard.spans, loud_spans(theirs)), (heard.spans, heard.recording.track)
