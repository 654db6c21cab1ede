"""What a recording's sound says before anything is transcribed, found while it is being decoded.

Decoding takes one core and voice activity another: side by side a short recording waits for its
first chunk half as long.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from longscribe.audio.recording import SAMPLE_RATE_HZ, AcceleratedAudio
from longscribe.audio.silero import Probabilities, SpeechListener, speech_probabilities
from longscribe.audio.voice_activity import (
    LevelListener,
    Levels,
    Spans,
    levels_db,
    sound_spans,
    speech_spans,
)
from longscribe.options import VoiceActivity

_HEARD_AT_ONCE_SAMPLES: Final = 30 * SAMPLE_RATE_HZ


class Activity(NamedTuple):
    """Where there is sound in a recording, and where somebody speaks.

    Attributes:
        levels: of frames of 20 ms, in dB of full scale.
        sound: by level, in seconds, (n, 2).
        speech: what is worth hearing, in seconds, (n, 2).
    """

    levels: Levels
    sound: Spans
    speech: Spans


def activity_of(audio: AcceleratedAudio, detector: VoiceActivity) -> Activity:
    """The activity in a scratch file: read, where it was found while the file was written.

    Args:
        audio: at the tempo that is heard.
        detector: `model` takes speech for worth hearing, `level` all sound, `off` everything.
    """
    probabilities: Probabilities | None = None
    if audio.activity_path is not None:
        with np.load(audio.activity_path) as kept:
            levels, probabilities = kept["levels"], kept["probabilities"]
    else:
        levels = levels_db(audio.pcm_path, audio.samples)
    sound = sound_spans(levels, audio.duration_s)
    if detector == "off":
        everything = np.asarray([[0.0, audio.duration_s]]) if audio.samples else np.empty((0, 2))
        return Activity(levels, sound, everything)
    if detector == "level":
        return Activity(levels, sound, sound)
    if probabilities is None or not len(probabilities):
        probabilities = speech_probabilities(audio.pcm_path, audio.samples)
    return Activity(levels, sound, speech_spans(sound, probabilities, audio.duration_s))


class ActivityListener:
    """Hears a scratch file behind whoever writes it, in threads of its own.

    Args:
        pcm_path: int16 mono at 16 kHz, at the tempo that is heard.
        detector: that `activity_of` will be asked for.
    """

    def __init__(self, pcm_path: Path, detector: VoiceActivity) -> None:
        self._pcm_path = pcm_path
        self._hears_speech = detector == "model"
        self._threads = (
            ThreadPoolExecutor(1, thread_name_prefix="levels"),
            ThreadPoolExecutor(1, thread_name_prefix="speech"),
        )
        self._reached = 0
        self._begin()

    def __enter__(self) -> "ActivityListener":
        # More threads of the linear algebra library would spin on the core that decodes.
        self._limits = threadpool_limits(1, user_api="blas")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def reach(self, samples: int) -> None:
        """Hear what the file has by now.

        Args:
            samples: in it; fewer than before where it is about to be written anew.
        """
        if samples < self._reached:
            self._wait()
            self._begin()
        elif samples - self._reached >= _HEARD_AT_ONCE_SAMPLES:
            self._hear(samples, is_all=False)
            self._reached = samples

    def save(self, samples: int) -> Path:
        """Hear the rest, and write what was found beside the file.

        Args:
            samples: in all.

        Raises:
            OSError: it cannot be written.
        """
        self._hear(samples, is_all=True)
        self._wait()
        path = self._pcm_path.with_suffix(".activity.npz")
        levels, probabilities = self._levels.levels(), self._speech.probabilities()
        np.savez(path, levels=levels, probabilities=probabilities)
        return path

    def _begin(self) -> None:
        self._reached = 0
        self._levels = LevelListener(self._pcm_path)
        self._speech = SpeechListener(self._pcm_path)
        self._futures: list[Future[None]] = []

    def _hear(self, samples: int, *, is_all: bool) -> None:
        listening: list[Callable[..., None]] = [self._levels.hear]
        if self._hears_speech:
            listening.append(self._speech.hear)
        for thread, hear in zip(self._threads, listening, strict=False):
            self._futures.append(thread.submit(hear, samples, is_all=is_all))

    def _wait(self) -> None:
        for future in self._futures:
            future.result()
        self._futures.clear()
