"""What a run says while chunks are at work: how far, how long yet, and what that takes."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from prefect.logging import get_run_logger

from longscribe.audio.chunks import Chunk
from longscribe.monitoring.events import StageBegan, StageOver, tell
from longscribe.monitoring.resources import Sampler
from longscribe.monitoring.run_record import AtWork, RunRecord, RunRecorder
from longscribe.runtime.machine import this_machine
from longscribe.task_runner import SurvivingTaskRunner
from longscribe.tasks.artifacts import RunArtifacts
from longscribe.transcript import ChunkTranscript, format_time
from longscribe.wording.catalog import translated

_LOOK_EVERY_S: Final = 1.0
_STOP_WITHIN_S: Final = 5.0
_STAGE: Final = "transcribe"


class Report:
    """One line per finished chunk; figures every second for a terminal and for the UI's artifacts.

    Args:
        chunks: all of the recording.
        runner: whose workers share them.
        artifacts: of the run in the Prefect UI; None shows nothing there.
        ending_s: what the run takes after its last chunk, for the time left.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        runner: SurvivingTaskRunner,
        artifacts: RunArtifacts | None = None,
        ending_s: float = 0.0,
    ) -> None:
        self._began_s = time.monotonic()
        self._recorder = RunRecorder(
            chunks, runner.workers, this_machine().cores, self._began_s, ending_s
        )
        self._runner = runner
        self._artifacts = artifacts
        self._total = len(chunks)
        self._kept = 0
        self._nothing_yet = True
        self._stop = threading.Event()

    def begin(self, kept: int) -> None:
        """Said before the first chunk is given away: its worker's lines come after this one.

        Args:
            kept: how many chunks are there from an earlier run.
        """
        more = translated(", {count} more kept from an earlier run").format(count=kept)
        get_run_logger().info(
            translated("Transcribing: progress 0 %% (0/%d)%s"),
            self._total - kept,
            more if kept else "",
        )

    def kept(self, chunk: Chunk, transcript: ChunkTranscript) -> None:
        """A chunk was there from an earlier run."""
        self._kept += 1
        self._recorder.kept(chunk, transcript)
        get_run_logger().info(
            translated("Chunk %s kept from an earlier run: %s, %d segments"),
            chunk.number,
            chunk.span,
            len(transcript.segments),
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the block lasts the other chunks are at work."""
        self._recorder.begin()
        watcher = threading.Thread(target=self._watch, name="run-watcher", daemon=True)
        tell(StageBegan(_STAGE))
        watcher.start()
        try:
            yield
        finally:
            self._stop.set()
            watcher.join(_STOP_WITHIN_S)
            tell(self._recorder.status(time.monotonic()))
            tell(StageOver(_STAGE))

    def finished(self, chunk: Chunk, transcript: ChunkTranscript) -> None:
        """A chunk came through."""
        if self._nothing_yet:
            self._nothing_yet = False
            get_run_logger().info(
                translated("Workers and model were ready after %.1f s"),
                max(0.0, transcript.ready_at_s - self._began_s),
            )
        self._recorder.finished(chunk, transcript, time.monotonic())
        segments = translated("{count} segments").format(count=len(transcript.segments))
        self._say(chunk, segments)

    def failed(self, chunk: Chunk, reason: str) -> None:
        """A chunk was given up."""
        self._recorder.failed(chunk, reason)
        self._say(chunk, translated("failed"))

    def record(self) -> RunRecord:
        """What was done when; the artifacts show it as it is now."""
        record = self._recorder.record(time.monotonic())
        if self._artifacts is not None:
            self._artifacts.show_progress(self._recorder.status(time.monotonic()))
            self._artifacts.show_chunks(record.chunks)
        return record

    def _say(self, chunk: Chunk, outcome: str) -> None:
        self._look(None)
        status = self._recorder.status(time.monotonic())
        about = ""
        if status.left_s is not None:
            about = translated(", about {time} left").format(time=format_time(status.left_s))
        get_run_logger().info(
            translated("Finished chunk %s, %s; progress %.0f %% (%d/%d)%s"),
            chunk.number,
            outcome,
            self._recorder.percent,
            status.done - self._kept,
            status.total - self._kept,
            about,
        )

    def _watch(self) -> None:
        sampler = Sampler()
        while not self._stop.wait(_LOOK_EVERY_S):
            self._look(sampler)
            status = self._recorder.status(time.monotonic())
            tell(status)
            if self._artifacts is not None:
                self._artifacts.show_progress(status)
                self._artifacts.show_chunks(self._recorder.rows())

    def _look(self, sampler: Sampler | None) -> None:
        now_s = time.monotonic()
        sample = sampler.sample(self._runner.pids, now_s) if sampler else None
        at_work = [
            AtWork(one.pid, one.parameters["chunk"].index, one.since_s)
            for one in self._runner.under_way()
            if "chunk" in one.parameters
        ]
        self._recorder.seen(at_work, sample, now_s)
