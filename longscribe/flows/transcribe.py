"""One recording from file to transcript: read `transcribe` from top to bottom."""

import time
from pathlib import Path
from uuid import UUID

from prefect import flow, unmapped
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from longscribe.audio.lanes import declared_duration_s, without_own_tempo
from longscribe.cache.kernels import are_compiled
from longscribe.errors import TranscriptionError
from longscribe.flows.parameters import taking_options
from longscribe.models.weights import check_language, check_task
from longscribe.options import RunOptions
from longscribe.outputs.formats import output_name
from longscribe.outputs.partial_texts import PartialTexts
from longscribe.runtime.scratch import scratch
from longscribe.storage.lanes import lanes_in
from longscribe.storage.uploads import check_destination, writing_folder
from longscribe.storage.uris import is_url, name_of
from longscribe.tasks.accelerate import accelerate
from longscribe.tasks.access import access_of_run
from longscribe.tasks.artifacts import RunArtifacts
from longscribe.tasks.collect import collect
from longscribe.tasks.deliver import deliver
from longscribe.tasks.fetch import fetch
from longscribe.tasks.kept_results import keeping, read_kept
from longscribe.tasks.load_model import load_model
from longscribe.tasks.merge import merge
from longscribe.tasks.orphaned_runs import (
    mark_dead_runs,
    marking_what_was_stopped,
    name_of_attempt,
    settle_rows,
)
from longscribe.tasks.postprocess import postprocess
from longscribe.tasks.publish import publish
from longscribe.tasks.report import Report
from longscribe.tasks.resume import EarlierWork
from longscribe.tasks.rows import rows_of_runs
from longscribe.tasks.runner_of_run import runner_of_run
from longscribe.tasks.show_outcome import show_outcome
from longscribe.tasks.sizing import sizing_of_run
from longscribe.tasks.split import split
from longscribe.tasks.stage import refusing
from longscribe.tasks.stopping import leaving_quickly
from longscribe.tasks.summary import RunSummary, ended
from longscribe.tasks.transcribe_chunk import transcribe_chunk
from longscribe.tasks.voices import Voices, load_speaker_models, name_speakers
from longscribe.tasks.write import expected_ending_s, write
from longscribe.text.glossary import read_glossary
from longscribe.text.hotwords import with_hotwords
from longscribe.wording.catalog import in_ui_language, translated


def _run_name() -> str:
    return output_name(Path(name_of(str(flow_run.parameters.get("recording", "recording")))))


@flow(
    name="transcribe",
    flow_run_name=_run_name,
    description="Transcribe one long recording: sped up, cut at silences, recognized chunk by "
    "chunk on a pool of worker processes, merged, improved and written.",
)
@leaving_quickly
@refusing
@in_ui_language
@taking_options
def transcribe(options: RunOptions) -> State[RunSummary]:
    """Transcribe one recording."""
    started_s = time.monotonic()
    _say_where_to_look()
    access = access_of_run()
    options = with_hotwords(access.confine(options))
    spellings = read_glossary(options.glossary)
    name = output_name(Path(name_of(options.recording)))
    check_destination(options.output_dir, name)

    mark_dead_runs(_current_run_id())

    with (
        scratch(name_of_attempt()) as folder_of_run,
        RunArtifacts(name, _current_run_id()) as artifacts,
    ):
        spec = load_model(options.model, options.model_dir)
        check_language(spec, options.language)
        check_task(spec.name, options.task, spec.dims)
        voices = Voices(load_speaker_models(options)) if options.voice_count else None
        fetched = fetch(options.recordings, folder_of_run, access)
        lanes = lanes_in(fetched, options)  # one; or channels or files that are heard each alone
        _say_what_takes_long_once(options)
        sizing = sizing_of_run(declared_duration_s(lanes), spec, options)
        earlier = EarlierWork(lanes, spec, options)
        given = (spec, options.for_chunks, sizing.batch_size)
        with (
            marking_what_was_stopped(),
            runner_of_run(sizing, spec, options) as runner,
        ):
            if not earlier.is_complete:
                runner.warm_up()  # workers load the model while the recording is prepared
            keeps_own = options.hears_again or (voices is not None and options.tempo != 1.0)
            audio = accelerate(lanes, options.tempo, folder_of_run, keeps_own, options.vad)
            heard = audio if options.hears_again else list(map(without_own_tempo, audio))
            pieces = split(heard, options.chunk_minutes, sizing.workers, earlier.plans, options.vad)
            kept, missing = earlier.sort(pieces)
            readers = _folder_of_readers(options.output_dir, name)
            earlier.note_in(readers)
            has_rows = rows_of_runs() == "chunk"
            shown = artifacts if has_rows else None
            report = Report(pieces.chunks, runner, shown, expected_ending_s(lanes, heard, options))
            if missing:
                report.begin(len(kept))
            transcribe_one = keeping(transcribe_chunk)
            if has_rows:
                # Prefect finds the results of those that are kept: they are Cached.
                found = [(one, transcribe_one(one, *given, earlier.key(one))) for one in kept]
            else:
                found = [(one, read_kept(earlier.key(one))) for one in kept]
            futures = transcribe_one.map(
                missing, *map(unmapped, given), [earlier.key(chunk) for chunk in missing]
            )
            at = dict(zip(futures, missing, strict=True))
            if voices and options.runner != "dask":
                voices.begin(audio[0].audio, pieces, earlier)
            partial = PartialTexts(readers)
            transcribed = collect(found, at, earlier, report, partial)
            if voices:
                voices.collect()
        if voices and options.runner == "dask":
            voices.hear_here(sizing, audio[0].audio, pieces, earlier)
        if not transcribed.results:
            raise TranscriptionError(translated("all chunks failed; the log says why"))
        merged = merge(fetched[0], options, heard, pieces, transcribed)
        transcript = postprocess(merged, heard, pieces, spellings, options)
        if voices:
            transcript = name_speakers(transcript, voices, options)
        folder = writing_folder(options.output_dir, name, folder_of_run)
        written = write(transcript, folder, name, options, lanes, heard, transcribed.record)
        partial.remove()
        publish(written)
        files = deliver(written, options.output_dir, name)
        why = transcribed.failures
        settle_rows({c.label: why[c.index] for c in pieces.chunks if c.index in why})
        seconds = time.monotonic() - started_s
        show_outcome(artifacts, transcript, transcribed.record, written, files, seconds)

    return ended(transcript, transcribed, len(pieces.chunks), files, seconds)


def _say_where_to_look() -> None:
    url = url_for("flow-run", obj_id=flow_run.id, url_type="ui")
    get_run_logger().info(translated("Transcribing %s; in the Prefect UI:"), flow_run.name)
    get_run_logger().info("%s", url)


def _say_what_takes_long_once(options: RunOptions) -> None:
    if options.decoding == "batched" and not are_compiled():
        get_run_logger().info(
            translated("Compiling the engine's kernels, once for this version: up to two minutes")
        )


def _folder_of_readers(output_dir: str, name: str) -> Path | None:
    """Where somebody reads along: those of the web application do; None where nobody does."""
    if "web" not in flow_run.tags or is_url(output_dir):
        return None
    return Path(output_dir).expanduser() / name


def _current_run_id() -> UUID:
    return UUID(str(flow_run.id))
