"""Which of several audio tracks is heard: the one FFmpeg takes, unless nothing is in it."""

from typing import Any, Final, NamedTuple

import av
from av.container import InputContainer
from av.stream import Disposition

from longscribe.audio.channels import ChannelMixer, readable_format
from longscribe.audio.levels import LevelMeter

_LISTENED_S: Final = 20.0  # of each place
_PLACES: Final = (0.0, 0.25, 0.5, 0.75)  # of the duration
# Of full scale, what is held for longer than a click: nothing; surely something; and what is no
# more than the hum of a line where another track is so much louder.
_SILENT_BELOW: Final = 5e-4
_HEARD_ABOVE: Final = 0.02
_FAINT_BELOW: Final = 5e-3
_LOUDER: Final = 20.0


class Track(NamedTuple):
    """A choice: the track's number, from 1, of how many, and those that were found silent."""

    number: int
    total: int
    silent: tuple[int, ...] = ()


def choose_track(container: InputContainer) -> Track:
    """The track that FFmpeg's program takes, or the next where that is silent or a faint hum.

    It listens to parts of the tracks only where there are several; the container is used up then.
    """
    tracks = container.streams.audio
    if len(tracks) < 2:
        return Track(1, len(tracks))
    levels = {i: _level(container, track) for i, track in enumerate(tracks, start=1)}
    loudest = max(levels.values())
    silent = tuple(
        i
        for i, level in levels.items()
        if level < _SILENT_BELOW or (level < _FAINT_BELOW and level * _LOUDER < loudest)
    )
    order = sorted(levels, key=lambda i: (i in silent, *_rank(tracks[i - 1])))
    return Track(order[0], len(tracks), silent)


def _rank(track: Any) -> tuple[bool, int]:
    """FFmpeg's order (fftools/ffmpeg_mux_init.c): by default first, then the most channels."""
    return not track.disposition & Disposition.default, -track.codec_context.channels


def _level(container: InputContainer, track: Any) -> float:
    """What the loudest sound at some places of a track holds, of full scale."""
    level = 0.0
    duration_s = (container.duration or 0) / av.time_base
    is_long = duration_s > _LISTENED_S * len(_PLACES)
    for place in _PLACES if is_long else _PLACES[:1]:
        meter = LevelMeter()
        try:
            container.seek(int(place * duration_s * av.time_base))
            _listen(container, track, _LISTENED_S if is_long else float("inf"), meter)
        except av.error.FFmpegError:
            pass  # it cannot be read further; other places may
        level = max(level, meter.sustained)
        if level >= _HEARD_ABOVE:
            break
    return level


def _listen(container: InputContainer, track: Any, longest_s: float, meter: LevelMeter) -> None:
    mixer = ChannelMixer()
    resampler, shape = None, None
    heard_s = 0.0
    for frame in container.decode(track):
        heard_s += frame.samples / frame.sample_rate
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = av.AudioResampler(
                readable_format(frame.layout.nb_channels), frame.layout.name, 16_000
            )
        assert resampler is not None
        frame.pts = None
        for piece in resampler.resample(frame):
            meter.push(mixer.mixed(piece))
        if meter.sustained >= _HEARD_ABOVE or heard_s >= longest_s:
            return
