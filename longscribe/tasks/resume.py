"""What earlier runs left of a recording, and what this one leaves."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from prefect.logging import get_run_logger

from longscribe.audio.chunks import Chunk
from longscribe.audio.lanes import Lane
from longscribe.cache.cut_plan import Plan, keep_plan
from longscribe.cache.folder import clean_cache
from longscribe.cache.results import result_path
from longscribe.cache.traces import note_traces
from longscribe.decoding.chunk_key import chunk_key
from longscribe.models.weights import ModelSpec
from longscribe.options import Precision, RunOptions, parse_bytes
from longscribe.tasks.current_run import current_run
from longscribe.tasks.kept_chunks import kept_chunks
from longscribe.tasks.kept_results import keep_usable
from longscribe.tasks.split import SplitAudio
from longscribe.wording.catalog import translated


class Sorted(NamedTuple):
    """A recording's chunks: those that an earlier run finished, and those that are to be done."""

    kept: list[Chunk]
    missing: list[Chunk]


class EarlierWork:
    """The chunks of a recording under their keys, and which of them are there already.

    Args:
        lanes: of the recording: what is heard by itself.
        spec: of the model.
        options: of this run.
    """

    def __init__(self, lanes: Sequence[Lane], spec: ModelSpec, options: RunOptions) -> None:
        self._options = options
        self._keys: dict[int, str] = {}
        self._has_warned = False
        self._noted_in: Path | None = None
        # A fresh run that is started again, by a retry or another worker, goes on with its own.
        not_before_s = _created_s() if options.fresh else 0.0
        self._lanes = [kept_chunks(lane.recording, spec, options, not_before_s) for lane in lanes]
        self._kept = self._lanes[0]  # what all have in common

    @property
    def plans(self) -> list[Plan | None]:
        """How each lane was cut when it was last transcribed with these options."""
        return [lane.plan for lane in self._lanes]

    @property
    def precision(self) -> Precision:
        """What this run will compute in."""
        return self._kept.precision

    @property
    def not_before_s(self) -> float:
        """Results kept before do not count, in seconds since 1970."""
        return self._kept.not_before_s

    @property
    def is_complete(self) -> bool:
        """Whether all chunks seem to be there: told before the samples are, and so not for sure."""
        return all(lane.are_all for lane in self._lanes)

    def key(self, chunk: Chunk) -> str:
        """What a chunk's result is kept under."""
        return self._keys[chunk.index]

    def note_in(self, folder: Path | None) -> None:
        """Note what is kept of this recording, beside its transcript, to be removed with it.

        Args:
            folder: of the transcript; None notes nothing, now and later.
        """
        self._noted_in = folder
        note_traces(folder, self._keys.values(), [lane.plan_path for lane in self._lanes])

    def note(self, keys: Iterable[str]) -> None:
        """Note other results, where it notes any."""
        note_traces(self._noted_in, keys)

    def sort(self, pieces: SplitAudio) -> Sorted:
        """What is there already; the cuts are kept for the next run, and old results cleaned."""
        self._keys = {chunk.index: chunk_key(chunk, self._kept.decoding) for chunk in pieces.chunks}
        for number, (lane, kept) in enumerate(zip(pieces.lanes, self._lanes, strict=True)):
            own = [chunk for chunk in pieces.chunks if chunk.lane == number]
            keys = tuple(self._keys[chunk.index] for chunk in own)
            plan = Plan(samples=lane.samples, cuts=tuple(lane.cuts), chunk_keys=keys)
            keep_plan(kept.plan_path, plan)
            kept.shared.leave_plan(kept.plan_path, plan)
        self._kept.shared.bring(tuple(self._keys.values()), self._kept.not_before_s)
        self.warn_of_shared()
        self._clean(pieces.chunks)
        sorted_out = Sorted([], [])
        for chunk in pieces.chunks:
            (sorted_out.kept if self._is_usable(chunk) else sorted_out.missing).append(chunk)
        return sorted_out

    def is_not_shared(self, chunk: Chunk) -> bool:
        """Whether there is a shared store and a finished chunk could not be left there."""
        return self._kept.shared.lacks(self.key(chunk))

    def warn_of_shared(self) -> None:
        """Say once that the shared store fails, where it does."""
        failure = self._kept.shared.failure
        if failure and not self._has_warned:
            self._has_warned = True
            get_run_logger().warning("%s", failure)
            get_run_logger().warning(
                translated("The run goes on; other machines would do its finished chunks again")
            )

    def _is_usable(self, chunk: Chunk) -> bool:
        try:
            return keep_usable(chunk, self.key(chunk), self.precision, self._kept.not_before_s)
        except ValueError:
            get_run_logger().warning(
                translated("The kept result of chunk %s is damaged: it is done again"),
                chunk.number,
            )
            return False

    def _clean(self, chunks: Sequence[Chunk]) -> None:
        # Whatever the clock says, which may have jumped: not what this run is about to use.
        plans = [lane.plan_path for lane in self._lanes]
        spare = [*plans, *(result_path(self.key(chunk)) for chunk in chunks)]
        removed = clean_cache(
            self._options.keep_days, parse_bytes(self._options.keep_size), spare=spare
        )
        if removed:
            get_run_logger().info(
                translated("Cleaned %d old result(s) of chunks, %.1f MB"),
                len(removed),
                sum(entry.size_bytes for entry in removed) / 1e6,
            )


def _created_s() -> float:
    """When the flow run came to be, in seconds since 1970; its starts may be several."""
    run = current_run()
    created = run and run.created
    return created.timestamp() if created else time.time()
