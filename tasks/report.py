"""What the log says while chunks are at work: how far, and how long yet."""

import time
from collections.abc import Sequence

from prefect.logging import get_run_logger

from longscribe.chunks import Chunk
from longscribe.progress import Progress
from longscribe.transcript import ChunkTranscript, format_time


class Report:
    """One line per finished chunk.

    Args:
        chunks: those that are to be transcribed.
        kept: how many more were there already.
        workers: that share them.
    """

    def __init__(self, chunks: Sequence[Chunk], kept: int, workers: int) -> None:
        self._began_at_s: float | None = time.monotonic()
        self._progress = Progress({chunk.index: chunk.duration_s for chunk in chunks}, workers)
        self._waiting = [chunk.index for chunk in chunks]
        self._running: dict[int, float] = {}
        for _ in range(workers):
            self._start_next()
        left = f", {kept} more kept from an earlier run" if kept else ""
        get_run_logger().info(
            "Transcribing: progress 0 %% (0/%d)%s",
            self._progress.total,
            left,
            extra={"progress_percent": 0.0, "progress_left_s": None},
        )

    def finished(self, chunk: Chunk, transcript: ChunkTranscript) -> None:
        """A chunk came through."""
        if self._began_at_s is not None:
            get_run_logger().info(
                "Workers and model were ready after %.1f s",
                max(0.0, transcript.ready_at_s - self._began_at_s),
            )
            self._began_at_s = None
        self._say(chunk, transcript.seconds, f"{len(transcript.segments)} segments")

    def failed(self, chunk: Chunk) -> None:
        """A chunk was given up."""
        started_s = self._running.get(chunk.index, time.monotonic())
        self._say(chunk, time.monotonic() - started_s, "failed")

    def _say(self, chunk: Chunk, seconds: float, outcome: str) -> None:
        progress = self._progress
        progress.finish(chunk.index, seconds)
        self._running.pop(chunk.index, None)
        self._start_next()
        now_s = time.monotonic()
        left_s = progress.remaining_s({i: now_s - start_s for i, start_s in self._running.items()})
        about = "" if left_s is None else f", about {format_time(left_s)} left"
        get_run_logger().info(
            "Finished chunk %s, %s; progress %.0f %% (%d/%d)%s",
            chunk.number,
            outcome,
            progress.percent,
            progress.done,
            progress.total,
            about,
            extra={"progress_percent": progress.percent, "progress_left_s": left_s},
        )

    def _start_next(self) -> None:
        # The pool takes chunks in the order given; which worker takes which does not matter here.
        if self._waiting:
            self._running[self._waiting.pop(0)] = time.monotonic()
