"""One recording from file to transcript: read `transcribe` from top to bottom."""

import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from prefect import flow, unmapped
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.utilities.urls import url_for
from pydantic import BaseModel, ConfigDict, Field

from longscribe.audio.chunks import most_chunks
from longscribe.audio.recording import probe
from longscribe.cache.kernels import are_compiled
from longscribe.errors import TranscriptionError
from longscribe.models.weights import ModelSpec, check_language, check_task
from longscribe.options import (
    DEFAULT_FORMATS,
    Auto,
    Decoding,
    Device,
    Format,
    PageAudio,
    Precision,
    RunOptions,
    Task,
    UiLanguage,
    VoiceActivity,
    check_options,
)
from longscribe.outputs.formats import output_name, printable_lines
from longscribe.runtime.machine import (
    Sizing,
    memory_demand,
    size_run,
    this_machine,
)
from longscribe.runtime.scratch import scratch
from longscribe.storage.uploads import check_destination, writing_folder
from longscribe.storage.uris import name_of
from longscribe.tasks.accelerate import accelerate
from longscribe.tasks.access import access_of_run
from longscribe.tasks.artifacts import RunArtifacts
from longscribe.tasks.chunk_runner import chunk_runner
from longscribe.tasks.collect import collect
from longscribe.tasks.deliver import deliver
from longscribe.tasks.fetch import fetch
from longscribe.tasks.kept_results import keeping
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
from longscribe.tasks.show_outcome import show_outcome
from longscribe.tasks.split import split
from longscribe.tasks.stage import refusing
from longscribe.tasks.stopping import leaving_quickly
from longscribe.tasks.transcribe_chunk import transcribe_chunk
from longscribe.tasks.write import expected_ending_s, write
from longscribe.text.glossary import read_glossary
from longscribe.transcript import Transcript
from longscribe.wording.catalog import in_ui_language, translated

_LONG_S = 3600.0


class RunSummary(BaseModel):
    """What a finished run returns: figures and where the files are."""

    model_config = ConfigDict(frozen=True)

    files: tuple[Path | str, ...]  # URLs where output_dir is one
    segments: int
    improved_segments: int
    chunks: int
    kept_chunks: int
    failed_chunks: int
    duration_s: float
    seconds: float
    language: str
    lines: tuple[str, ...]


def _run_name() -> str:
    return output_name(Path(name_of(str(flow_run.parameters.get("recording", "recording")))))


@flow(
    name="transcribe",
    flow_run_name=_run_name,
    description="Transcribe one long recording: sped up, cut at silences, recognized chunk by chunk "
    "on a pool of worker processes, merged, improved and written.",
)
@leaving_quickly
@refusing
@in_ui_language
def transcribe(
    recording: str,
    model: str = "turbo",
    language: str = "auto",
    task: Task = "transcribe",
    decoding: Decoding = "batched",
    precision: Precision = "auto",
    device: Device = "auto",
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.2,
    chunk_minutes: Annotated[float, Field(ge=0.5, le=120.0)] = 10.0,
    workers: Auto | Annotated[int, Field(ge=1, le=256)] = "auto",
    threads_per_worker: Auto | Annotated[int, Field(ge=1, le=256)] = "auto",
    memory_per_worker: str = "auto",
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto",
    output_dir: str = "transcripts",
    formats: list[Format] = list(DEFAULT_FORMATS),  # noqa: B006  Prefect needs the default as JSON
    page_audio: PageAudio = "auto",
    max_line_chars: Annotated[int, Field(ge=0, le=500)] = 42,
    max_lines: Annotated[int, Field(ge=1, le=10)] = 2,
    max_chars_per_s: Annotated[float, Field(ge=0.0, le=100.0)] = 20.0,
    min_gap_s: Annotated[float, Field(ge=0.0, le=5.0)] = 0.08,
    glossary: list[str] = [],  # noqa: B006
    initial_prompt: str = "",
    model_dir: str = "",
    vad: VoiceActivity = "model",
    audio_track: Auto | Annotated[int, Field(ge=1, le=1000)] = "auto",
    fresh: bool = False,
    chunk_timeout_minutes: Auto | Annotated[float, Field(gt=0.0)] = "auto",
    keep_days: Annotated[float, Field(ge=0.0)] = 30.0,
    keep_size: str = "5GB",
    temperature: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0,
    temperature_increment_on_fallback: Annotated[float, Field(gt=0.0, le=1.0)] | None = 0.2,
    best_of: Annotated[int, Field(ge=1, le=20)] = 5,
    beam_size: Annotated[int, Field(ge=1, le=20)] | None = None,
    patience: Annotated[float, Field(gt=0.0, le=10.0)] | None = None,
    length_penalty: Annotated[float, Field(ge=0.0, le=1.0)] | None = None,
    suppress_tokens: str = "-1",
    condition_on_previous_text: bool = False,
    word_timestamps: bool = False,
    compression_ratio_threshold: float = 2.4,
    logprob_threshold: float = -1.0,
    no_speech_threshold: Annotated[float, Field(ge=0.0, le=1.0)] = 0.6,
    ui_language: UiLanguage = "auto",
) -> State[RunSummary]:
    """Transcribe one recording.

    Args:
        recording: Path or URL of the recording, audio or video, anything FFmpeg reads: a path in the media roots, or http://, https://, s3://, gs://, az://, sftp://.
        model: tiny, base, small, medium, large-v3, turbo, their .en versions, demo, or a checkpoint's path.
        language: Code or name of the spoken language; auto detects it for every chunk.
        task: transcribe, or translate into English.
        decoding: batched decodes many windows at once; sequential is openai-whisper's own loop, slower.
        precision: Numbers to compute with; auto is int8 on a CPU that can, float16 on a GPU. sequential computes in float32.
        device: cpu or cuda; auto takes a GPU where there is one.
        speed: Tempo before recognition, 0.5 to 2.0, pitch kept; 1.0 leaves the sound untouched.
        chunk_minutes: About how long a chunk is, in minutes of accelerated audio, 0.5 to 120.
        workers: Worker processes; auto takes what cores and memory allow.
        threads_per_worker: Threads of each worker; auto shares out the cores.
        memory_per_worker: Memory of each worker, such as 4GB; auto takes the model's measured need.
        batch_size: Windows of 30 s decoded side by side in a worker; auto goes by the number of workers.
        output_dir: Folder for the transcript's own folder, or the URL of one: s3://, gs://, az://, sftp://.
        formats: Files to write; html is a page to read and listen to, words is JSON of words.
        page_audio: The page's sound; auto links to a recording that browsers play and copies others, embed puts a copy into the page.
        max_line_chars: Characters in a line of subtitles; 0 for one cue a segment without any rules.
        max_lines: Lines of subtitles shown at once.
        max_chars_per_s: Reading speed; a cue stays longer where nothing else is said. 0 for any.
        min_gap_s: Seconds between one cue and the next.
        glossary: Your own spellings, `heard => wanted` pairs, or paths of text files with them.
        initial_prompt: Text that sets style and vocabulary for every window.
        model_dir: Folder of downloaded weights; openai-whisper's own by default.
        vad: What is heard: model for speech, level for every sound, off for everything.
        audio_track: Which of several audio tracks is heard, counted from 1; auto takes the one a player would, unless it is silent.
        fresh: Do every chunk, also those whose results are kept from an earlier run.
        chunk_timeout_minutes: A chunk that takes longer is stuck and runs again; auto goes by the speed of the others.
        keep_days: Results of chunks that were not used for longer are removed.
        keep_size: Beyond this size, results of chunks that were used longest ago are removed.
        temperature: First sampling temperature, 0 to 1.
        temperature_increment_on_fallback: Step to the next temperature when decoding fails; null for none.
        best_of: Candidates when sampling, 1 to 20.
        beam_size: Beams at temperature zero, 1 to 20; null decodes greedily.
        patience: Beam search patience, up to 10; needs beam_size.
        length_penalty: Length penalty of candidates, 0 to 1.
        suppress_tokens: Token ids never sampled; -1 for non-speech symbols.
        condition_on_previous_text: Give each window the text before it; needs sequential decoding.
        word_timestamps: Find the times of words.
        compression_ratio_threshold: Above this, text counts as repetitive and is decoded again.
        logprob_threshold: Below this average log probability, text is decoded again.
        no_speech_threshold: Above this probability of no speech, 0 to 1, a failed window counts as silence.
        ui_language: Language of messages, artifacts and the page: en or pt_BR; auto goes by the worker's environment.
    """
    started_s = time.monotonic()
    _say_where_to_look()
    access = access_of_run()
    options = access.confine(check_options(**_parameters(locals())))
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
        fetched = fetch(options.recording, folder_of_run, access)
        source = probe(fetched, options.audio_track_number)
        _say_what_takes_long_once(options)
        sizing = _size(source.declared_duration_s, spec, options)
        earlier = EarlierWork(source, spec, options)
        given = (spec, options.for_chunks, sizing.batch_size)
        with (
            marking_what_was_stopped(),
            chunk_runner(sizing, spec, options.for_chunks, options.chunk_timeout_s) as runner,
        ):
            if not earlier.is_complete:
                runner.warm_up()  # workers load the model while the recording is prepared
            audio = accelerate(source, options.speed, folder_of_run)
            pieces = split(audio, options.chunk_minutes, sizing.workers, earlier.plan, options.vad)
            kept, missing = earlier.sort(pieces)
            report = Report(
                pieces.chunks, runner, artifacts, expected_ending_s(source, audio, options)
            )
            transcribe_one = keeping(transcribe_chunk)
            # Prefect finds the results of those that are kept: they are Cached.
            found = [(chunk, transcribe_one(chunk, *given, earlier.key(chunk))) for chunk in kept]
            futures = transcribe_one.map(
                missing, *map(unmapped, given), [earlier.key(chunk) for chunk in missing]
            )
            at = dict(zip(futures, missing, strict=True))
            transcribed = collect(found, at, earlier, report)
        if not transcribed.results:
            raise TranscriptionError(translated("all chunks failed; the log says why"))
        merged = merge(source.path, options, audio, pieces, transcribed)
        original_speech = pieces.speech * (audio.original_samples / audio.samples)
        transcript = postprocess(merged, original_speech, spellings)
        folder = writing_folder(options.output_dir, name, folder_of_run)
        written = write(transcript, folder, name, options, source, audio, transcribed.record)
        publish(written)
        files = deliver(written, options.output_dir, name)
        why = transcribed.failures
        settle_rows({c.label: why[c.index] for c in pieces.chunks if c.index in why})
        seconds = time.monotonic() - started_s
        show_outcome(artifacts, transcript, transcribed.record, written, files, seconds)

    summary = RunSummary(
        files=files,
        segments=len(transcript.segments),
        improved_segments=transcript.improved_segments,
        chunks=len(pieces.chunks),
        kept_chunks=transcribed.kept,
        failed_chunks=len(transcribed.failures),
        duration_s=transcript.duration_s,
        seconds=seconds,
        language=transcript.language,
        lines=tuple(printable_lines(transcript)),
    )
    return _ended(summary, transcript)


def _say_where_to_look() -> None:
    url = url_for("flow-run", obj_id=flow_run.id, url_type="ui")
    get_run_logger().info(translated("Run %s in the Prefect UI: %s"), flow_run.name, url)


def _say_what_takes_long_once(options: RunOptions) -> None:
    if options.decoding == "batched" and not are_compiled():
        get_run_logger().info(
            translated("Compiling the engine's kernels, once for this version: up to two minutes")
        )


def _current_run_id() -> UUID:
    return UUID(str(flow_run.id))


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    """The flow's parameters among its local variables: those that are options of a run."""
    return {name: values[name] for name in RunOptions.model_fields}


def _size(declared_s: float | None, spec: ModelSpec, options: RunOptions) -> Sizing:
    """What the run takes of the machine; a recording that hides its length counts as a long one."""
    logger = get_run_logger()
    duration_s = (declared_s or _LONG_S) / options.speed
    chunk_s = min(60.0 * options.chunk_minutes, duration_s)
    batched = options.decoding == "batched"
    machine = this_machine()
    if options.device == "cpu":
        machine = machine.model_copy(update={"gpus": 0})
    demand = memory_demand(
        spec.dims,
        chunk_s,
        max(options.best_of, options.beam_size or 1),
        int8=batched and options.precision in ("auto", "int8"),
        batched=batched,
        gpu=machine.gpus > 0,
    )
    sizing = size_run(
        machine,
        most_chunks(duration_s, chunk_s),
        demand,
        workers=_number_or_none(options.workers),
        threads_per_worker=_number_or_none(options.threads_per_worker),
        memory_per_worker_bytes=options.memory_per_worker_bytes,
        batch_size=_number_or_none(options.batch_size),
    )
    for note in sizing.notes:
        logger.warning(note)
    logger.info(
        translated(
            "%d worker(s) x %d thread(s) on %d core(s), %.2f GB each and %.2f GB of weights once, "
            "of %.1f GB free; batches of %d windows"
        ),
        sizing.workers,
        sizing.threads_per_worker,
        machine.cores,
        sizing.memory_per_worker_bytes / 1e9,
        demand.shared_bytes / 1e9,
        machine.available_bytes / 1e9,
        sizing.batch_size,
    )
    return sizing


def _number_or_none(value: Auto | int) -> int | None:
    return None if value == "auto" else value


def _ended(summary: RunSummary, transcript: Transcript) -> State[RunSummary]:
    logger = get_run_logger()
    if not transcript.segments:
        logger.info(translated("No speech was found in the recording: the transcript is empty"))
    logger.info(
        translated("Done in %.1f s (%.1f x real time): %d segments, %d improved, %d chunk(s)"),
        summary.seconds,
        summary.duration_s / max(summary.seconds, 1e-6),
        summary.segments,
        summary.improved_segments,
        summary.chunks,
    )
    if summary.failed_chunks:
        message = translated("{done} of {total} chunks").format(
            done=summary.chunks - summary.failed_chunks, total=summary.chunks
        )
        return Completed(name="Partial", message=message, data=summary)
    return Completed(data=summary)
