"""Who speaks, by the voice: the parts of a recording in workers, then people and words."""

from contextlib import suppress
from typing import Any, Final

import numpy as np
from prefect import unmapped
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from prefect.results import ResultStore

from longscribe.audio.recording import AcceleratedAudio
from longscribe.audio.voice_activity import Spans
from longscribe.cache.folder import mark_used
from longscribe.cache.results import is_kept, result_name, result_path
from longscribe.errors import InputError
from longscribe.monitoring.time_limits import TimeLimits
from longscribe.options import RunOptions
from longscribe.runtime.machine import Sizing
from longscribe.speakers.diarization import Diarization, talk
from longscribe.speakers.diarizer import Diarizer, find_diarizer
from longscribe.speakers.parts import Part
from longscribe.task_runner import SurvivingTaskRunner
from longscribe.tasks.chunk_runner import ChunkTraits
from longscribe.tasks.hear_voices import hear_voices
from longscribe.tasks.kept_results import keeping, result_folder
from longscribe.tasks.preload import PRELOAD
from longscribe.tasks.resume import EarlierWork
from longscribe.tasks.split import SplitAudio
from longscribe.tasks.stage import stage
from longscribe.tasks.worker import start_worker
from longscribe.transcript import Transcript, format_time
from longscribe.wording.catalog import translated

_LONGEST_REASON: Final = 200


@stage("load_speaker_models")
def load_speaker_models(options: RunOptions) -> Diarizer[Any]:
    """Find or fetch the networks that tell voices apart.

    Raises:
        ModelError: an extra is not installed, or they cannot be had.
    """
    diarizer = find_diarizer(options)
    get_run_logger().info(translated("Voices are told apart by %s"), diarizer.networks)
    return diarizer


class Voices:
    """The voices of a recording, heard while its chunks are transcribed.

    Args:
        diarizer: what hears them.
    """

    def __init__(self, diarizer: Diarizer[Any]) -> None:
        self._diarizer = diarizer
        self._found: dict[int, str] = {}
        self._parts: list[Part] = []
        self._futures: dict[PrefectFuture[str], Part] = {}
        self._duration_s = 0.0
        self._spoken: Spans = np.empty((0, 2))

    def begin(self, audio: AcceleratedAudio, pieces: SplitAudio, earlier: EarlierWork) -> None:
        """Give the parts to workers, after the chunks that they have already; within the runner.

        Args:
            audio: the recording's samples.
            pieces: of it.
            earlier: knows which kept results count.
        """
        path = audio.own_tempo_path or audio.pcm_path
        scale = audio.original_samples / max(1, audio.samples)
        lane = pieces.lanes[0]
        self._spoken = talk(lane.sound * scale, lane.speech * scale)
        self._duration_s = audio.original_duration_s
        self._parts = list(self._diarizer.parts(path, audio.original_samples, self._spoken))
        keys = {part.index: self._diarizer.key(part) for part in self._parts}
        earlier.note(keys.values())
        hear = keeping(hear_voices)
        missing = []
        for part in self._parts:
            if _is_usable(keys[part.index], self._diarizer, earlier.not_before_s):
                # Prefect finds the results of those that are kept: they are Cached.
                self._found[part.index] = hear(part, self._diarizer, keys[part.index])
            else:
                missing.append(part)
        if self._found:
            get_run_logger().info(
                translated("Voices in %d of %d parts are kept from an earlier run"),
                len(self._found),
                len(self._parts),
            )
        futures: Any = hear.map(
            missing, unmapped(self._diarizer), [keys[part.index] for part in missing]
        )
        self._futures = dict(zip(futures, missing, strict=True))

    def collect(self) -> None:
        """Wait for the parts; one that fails costs its own speakers and no more.

        Raises:
            InputError: a worker found that a network cannot be used.
        """
        logger = get_run_logger()
        for future in as_completed(list(self._futures)):
            part = self._futures[future]
            try:
                self._found[part.index] = future.result()
            except InputError:
                raise
            except Exception as error:  # whatever broke one part must not take the text along
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
                logger.error(translated("Who speaks in %s cannot be told: %s"), part.place, reason)
            else:
                logger.info(
                    translated("Heard the voices in %s, %d of %d"),
                    part.place,
                    len(self._found),
                    len(self._parts),
                )

    def hear_here(
        self, sizing: Sizing, audio: AcceleratedAudio, pieces: SplitAudio, earlier: EarlierWork
    ) -> None:
        """Hear the parts with workers of this machine, where the chunks were done on others."""
        limits = ChunkTraits(TimeLimits(0))
        arguments = (sizing.threads_per_worker,)
        with SurvivingTaskRunner(
            sizing.workers, start_worker, arguments, traits=limits, preload=PRELOAD
        ):
            self.begin(audio, pieces, earlier)
            self.collect()

    def diarization(self) -> Diarization:
        """Who spoke when, by all that was heard."""
        heard = [
            (part, self._found[part.index]) for part in self._parts if part.index in self._found
        ]
        return self._diarizer.diarization(heard, self._duration_s, self._spoken)


@stage("name_speakers")
def name_speakers(transcript: Transcript, voices: Voices, options: RunOptions) -> Transcript:
    """Find the people over the whole recording, and give them their words."""
    # Here, not above: the command does not wait for it.
    from longscribe.api.speakers import told as told_by

    found = voices.diarization()
    told = told_by(transcript, found, options)
    seconds: dict[str, float] = {}
    for turn in told.turns:
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + turn.end_s - turn.start_s
    get_run_logger().info(translated("%d speaker(s)"), len(found.people))
    for speaker, spoken_s in seconds.items():
        get_run_logger().info(translated("%s speaks for %s"), speaker, format_time(spoken_s))
    for one in told.recognized:
        get_run_logger().info(
            translated("%s is a known voice, with probability %.2f"), one.speaker, one.probability
        )
    return told


def _is_usable(key: str, diarizer: Diarizer[Any], not_before_s: float) -> bool:
    """Whether an earlier run left a result that counts; one that does not is removed."""
    path = result_path(key)
    counts = is_kept(key, not_before_s)
    if counts:
        try:
            record = ResultStore(result_storage=result_folder()).read(result_name(key))
            diarizer.check(record.result)
        except Exception:  # whatever Prefect's, pydantic's and json's readers make of it
            counts = False
    if counts:
        mark_used(path)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return counts
