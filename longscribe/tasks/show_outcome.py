"""A finished run as artifacts: its figures, the transcript's beginning, the picture."""

from collections.abc import Sequence
from pathlib import Path

from longscribe.monitoring.run_record import RunRecord
from longscribe.tasks.artifacts import RunArtifacts
from longscribe.text.paragraphs import speakers_of
from longscribe.transcript import Transcript, format_time
from longscribe.wording.catalog import translated


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
    pace = transcript.duration_s / max(seconds, 1e-6)
    counted = translated(
        "{count}: {kept} kept from an earlier run, {failed} failed, {retries} retried"
    )
    busy = translated("{busy:.1f} of {cores}").format(busy=record.cores_busy, cores=record.cores)
    return {
        translated("recording"): f"{format_time(transcript.duration_s)} "
        f"({transcript.duration_s:.1f} s)",
        translated("took"): f"{format_time(seconds)} ({seconds:.1f} s)",
        translated("speed"): translated("{pace:.1f} x real time").format(pace=pace),
        translated("model"): f"{transcript.model}, {precision}" if precision else transcript.model,
        translated("language"): transcript.language or translated("none heard"),
        translated("tempo"): f"{transcript.speed:g} x",
        translated("chunks"): counted.format(
            count=len(chunks), kept=kept, failed=failed, retries=retries
        ),
        translated("workers"): str(record.workers),
        translated("cores busy"): busy if record.samples else translated("none"),
        translated("peak memory"): f"{record.peak_memory_bytes / 1e9:.2f} GB"
        if record.samples
        else "",
        translated("segments"): str(len(transcript.segments)),
        translated("improved segments"): str(transcript.improved_segments),
        translated("words"): str(sum(len(one.text.split()) for one in transcript.segments)),
        translated("gaps"): f"{len(transcript.gaps)} ({gaps_s:.1f} s)",
        **_spoken(transcript),
    }


def _spoken(transcript: Transcript) -> dict[str, str]:
    """What each one speaks, in seconds and as a share, where it is known who does."""
    spoken_s = speakers_of(transcript)
    total_s = max(sum(spoken_s.values()), 1e-6)
    return {
        translated("speaker {name}").format(name=name): f"{format_time(seconds)} "
        f"({seconds:.1f} s, {100 * seconds / total_s:.0f} %)"
        for name, seconds in spoken_s.items()
    }
