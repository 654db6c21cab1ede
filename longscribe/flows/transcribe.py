"""One recording from file to transcript: read `transcribe` from top to bottom."""

import time
from pathlib import Path
from typing import Final
from uuid import UUID

from prefect import flow, unmapped
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

from longscribe.audio.recording import probe
from longscribe.cache.kernels import are_compiled
from longscribe.errors import TranscriptionError
from longscribe.flows.parameters import taking_options
from longscribe.models.weights import check_language, check_task
from longscribe.options import RunOptions
from longscribe.outputs.formats import output_name
from longscribe.outputs.partial_texts import PartialTexts
from longscribe.runtime.scratch import scratch
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

_NOT_HEARD_AGAIN: Final = {"own_tempo_path": None}  # it is there for the voices only


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
        voices = Voices(load_speaker_models(options), options) if options.voice_count else None
        fetched = fetch(options.recording, folder_of_run, access)
        source = probe(fetched, options.audio_track_number)
        _say_what_takes_long_once(options)
        sizing = sizing_of_run(source.declared_duration_s, spec, options)
        earlier = EarlierWork(source, spec, options)
        given = (spec, options.for_chunks, sizing.batch_size)
        with (
            marking_what_was_stopped(),
            runner_of_run(sizing, spec, options) as runner,
        ):
            if not earlier.is_complete:
                runner.warm_up()  # workers load the model while the recording is prepared
            keeps_own = options.hears_again or (voices is not None and options.tempo != 1.0)
            audio = accelerate(source, options.tempo, folder_of_run, keeps_own)
            heard = audio if options.hears_again else audio.model_copy(update=_NOT_HEARD_AGAIN)
            pieces = split(heard, options.chunk_minutes, sizing.workers, earlier.plan, options.vad)
            kept, missing = earlier.sort(pieces)
            has_rows = rows_of_runs() == "chunk"
            shown = artifacts if has_rows else None
            report = Report(pieces.chunks, runner, shown, expected_ending_s(source, audio, options))
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
                voices.begin(audio, pieces, earlier)
            partial = PartialTexts(_folder_of_readers(options.output_dir, name))
            transcribed = collect(found, at, earlier, report, partial)
            if voices:
                voices.collect()
        if voices and options.runner == "dask":
            voices.hear_here(sizing, audio, pieces, earlier)
        if not transcribed.results:
            raise TranscriptionError(translated("all chunks failed; the log says why"))
        merged = merge(source.path, options, audio, pieces, transcribed)
        original_speech = pieces.speech * (audio.original_samples / audio.samples)
        transcript = postprocess(merged, original_speech, spellings, options)
        if voices:
            transcript = name_speakers(transcript, voices, options)
        folder = writing_folder(options.output_dir, name, folder_of_run)
        written = write(transcript, folder, name, options, source, audio, transcribed.record)
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
