"""Which of several audio tracks is heard: the one a player would take, unless nothing is in it."""

from typing import Any, Final, NamedTuple

import av
import numpy as np
from av.container import InputContainer

_LISTENED_S: Final = 20.0  # of each place
_PLACES: Final = (0.0, 0.25, 0.5, 0.75)  # of the duration
_SILENT_BELOW: Final = 1e-3  # of full scale: the loudest sample of a track without sound, -60 dB


class Track(NamedTuple):
    """A choice: the track's number, from 1, of how many, and those that were found silent."""

    number: int
    total: int
    silent: tuple[int, ...] = ()


def choose_track(container: InputContainer) -> Track:
    """The track that FFmpeg calls the best, or the loudest one where that is silent.

    It listens to parts of the tracks only where there are several; the container is used up then.
    """
    tracks = container.streams.audio
    best = container.streams.best("audio")
    indices = [track.index for track in tracks]
    number = 1 + (indices.index(best.index) if best is not None else 0)
    if len(tracks) < 2:
        return Track(number, len(tracks))
    loudest = {i: _peak(container, track) for i, track in enumerate(tracks, start=1)}
    silent = tuple(i for i, peak in loudest.items() if peak < _SILENT_BELOW)
    if number in silent and len(silent) < len(tracks):
        number = max(loudest, key=lambda i: loudest[i])
    return Track(number, len(tracks), silent)


def _peak(container: InputContainer, track: Any) -> float:
    """The loudest sample at some places of a track, of full scale."""
    peak = 0.0
    duration_s = (container.duration or 0) / av.time_base
    for place in _PLACES if duration_s > _LISTENED_S * len(_PLACES) else _PLACES[:1]:
        try:
            container.seek(int(place * duration_s * av.time_base))
            peak = max(peak, _peak_from_here(container, track, duration_s))
        except av.error.FFmpegError:
            continue  # this place cannot be read; others may
        if peak >= _SILENT_BELOW:
            break
    return peak


def _peak_from_here(container: InputContainer, track: Any, duration_s: float) -> float:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    peak, heard_s = 0.0, 0.0
    listened_s = _LISTENED_S if duration_s > _LISTENED_S * len(_PLACES) else float("inf")
    for frame in container.decode(track):
        heard_s += frame.samples / frame.sample_rate
        frame.pts = None
        for piece in resampler.resample(frame):
            peak = max(peak, float(np.abs(piece.to_ndarray()).max(initial=0.0)))
        if peak >= _SILENT_BELOW or heard_s >= listened_s:
            break
    return peak
