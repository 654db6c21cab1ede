"""The results of chunks, as workers finish them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger

from longscribe.audio.chunks import Chunk
from longscribe.cache.folder import results_folder
from longscribe.cache.results import result_path
from longscribe.errors import InputError
from longscribe.monitoring.run_record import RunRecord
from longscribe.outputs.partial_texts import PartialTexts
from longscribe.task_runner import LostTask
from longscribe.tasks.report import Report
from longscribe.tasks.resume import EarlierWork
from longscribe.transcript import ChunkTranscript
from longscribe.wording.catalog import translated

_LONGEST_REASON: Final = 200  # characters; it stands in the transcript


class Transcribed(NamedTuple):
    """What became of a recording's chunks.

    Attributes:
        results: `ChunkTranscript`s as JSON, in the order they were finished.
        failures: chunk index -> why there is no result.
        kept: how many results are from earlier runs.
        record: what was done when, for tables and plots.
    """

    results: list[str]
    failures: dict[int, str]
    kept: int
    record: RunRecord = RunRecord()


def collect(
    kept: Iterable[tuple[Chunk, str]],
    futures: Mapping[PrefectFuture[str], Chunk],
    earlier: EarlierWork,
    report: Report,
    partial: PartialTexts | None = None,
) -> Transcribed:
    """Take results as they come, and report on them.

    Args:
        kept: chunks of earlier runs and their results.
        futures: of the others.
        earlier: knows where results are kept, and in which precision this run computes.
        report: told of each chunk.
        partial: takes the text of each; None for nobody who reads along.

    Raises:
        InputError: a worker found that the model cannot be used.
    """
    results: list[str] = []
    failures: dict[int, str] = {}
    for chunk, found in kept:
        transcript, result = _in_place(chunk, found)
        results.append(result)
        report.kept(chunk, transcript)
        if partial is not None:
            partial.add(transcript)
    count = len(results)
    if futures:
        said = _SaidOnce(earlier)
        with report.watching():
            for future in as_completed(list(futures)):
                chunk = futures[future]
                try:
                    transcript, result = _in_place(chunk, future.result())
                except InputError:
                    raise
                except Exception as error:  # whatever broke one chunk must not take others along
                    failures[chunk.index] = reason = _reason(error)
                    get_run_logger().error(
                        translated("Chunk %s failed for good, %s is left out: %s"),
                        chunk.number,
                        chunk.span,
                        reason,
                    )
                    report.failed(chunk, reason)
                    continue
                results.append(result)
                report.finished(chunk, transcript)
                if partial is not None:
                    partial.add(transcript)
                said.look(chunk, transcript)
    return Transcribed(results, failures, count, report.record())


def _in_place(chunk: Chunk, result: str) -> tuple[ChunkTranscript, str]:
    """A result at its chunk's place: the same sound may be kept from another place."""
    transcript = ChunkTranscript.model_validate_json(result)
    if transcript.index == chunk.index:
        return transcript, result
    transcript = transcript.model_copy(update={"index": chunk.index})
    return transcript, transcript.model_dump_json()


def _reason(error: Exception) -> str:
    said = str(error) if isinstance(error, LostTask) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:_LONGEST_REASON]


class _SaidOnce:
    """What a run says of its results when it first happens."""

    def __init__(self, earlier: EarlierWork) -> None:
        self._earlier = earlier
        self._said: set[str] = set()

    def look(self, chunk: Chunk, transcript: ChunkTranscript) -> None:
        """Note one."""
        if (self._earlier.precision, transcript.precision) == ("int8", "float32"):
            self._say(
                translated(
                    "This build of torch has no int8 products that can be used here: "
                    "chunks are computed in float32, which is slower"
                )
            )
        if not result_path(self._earlier.key(chunk)).exists():
            self._say(
                translated(
                    "Finished chunks cannot be kept in %s (is its disk full?): "
                    "the run goes on, another would do them again"
                ),
                results_folder(),
            )
        if self._earlier.is_not_shared(chunk):
            self._say(
                translated(
                    "Finished chunks cannot be written to the shared store: the run goes on, "
                    "other machines would do them again"
                )
            )

    def _say(self, message: str, *about: Any) -> None:
        if message not in self._said:
            self._said.add(message)
            get_run_logger().warning(message, *about)
