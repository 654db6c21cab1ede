"""A finished run as artifacts: its figures, the transcript's beginning, the picture."""

from collections.abc import Sequence
from pathlib import Path

from longscribe.monitoring.run_record import RunRecord
from longscribe.tasks.artifacts import RunArtifacts
from longscribe.transcript import Transcript, format_time


def show_outcome(
    artifacts: RunArtifacts,
    transcript: Transcript,
    record: RunRecord,
    written: Sequence[Path],
    files: Sequence[Path | str],
    seconds: float,
) -> None:
    """Show what came of a run.

    Args:
        artifacts: of the run.
        transcript: as it was written.
        record: of the chunks.
        written: its files, on this machine.
        files: where they are in the end: the same, or their URLs.
        seconds: the run took.
    """
    artifacts.show_summary(_figures(transcript, record, seconds), transcript, files)
    artifacts.show_transcript(transcript, files)
    for file in written:
        if file.name.endswith(".report.svg"):
            artifacts.show_report(file)


def _figures(transcript: Transcript, record: RunRecord, seconds: float) -> dict[str, str]:
    """The run in figures, under the names that people read."""
    chunks = record.chunks
    kept = sum(row.outcome == "kept" for row in chunks)
    failed = sum(row.outcome == "failed" for row in chunks)
    precision = ", ".join(sorted({row.precision for row in chunks if row.precision}))
    gaps_s = sum(gap.duration_s for gap in transcript.gaps)
    retries = sum(max(0, row.attempts - 1) for row in chunks if row.outcome != "kept")
    return {
        "recording": f"{format_time(transcript.duration_s)} ({transcript.duration_s:.1f} s)",
        "took": f"{format_time(seconds)} ({seconds:.1f} s)",
        "speed": f"{transcript.duration_s / max(seconds, 1e-6):.1f} x real time",
        "model": f"{transcript.model}, {precision}" if precision else transcript.model,
        "language": transcript.language or "none heard",
        "tempo": f"{transcript.speed:g} x",
        "chunks": f"{len(chunks)}: {kept} kept from an earlier run, {failed} failed, "
        f"{retries} retried",
        "workers": str(record.workers),
        "cores busy": f"{record.cores_busy:.1f} of {record.cores}" if record.samples else "none",
        "peak memory": f"{record.peak_memory_bytes / 1e9:.2f} GB" if record.samples else "",
        "segments": str(len(transcript.segments)),
        "improved segments": str(transcript.improved_segments),
        "words": str(sum(len(segment.text.split()) for segment in transcript.segments)),
        "gaps": f"{len(transcript.gaps)} ({gaps_s:.1f} s)",
    }
