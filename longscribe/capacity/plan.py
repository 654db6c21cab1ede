"""A plan: workers, cores, memory, disk, database and money for so many hours of recording a day."""

import math
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from longscribe.capacity.load import NO_GPU, Load, check_load
from longscribe.capacity.measured import Constant, Measured, measured
from longscribe.errors import OptionError
from longscribe.models.checkpoint import ModelDims
from longscribe.monitoring.pace import times_shown
from longscribe.runtime.machine import Machine, memory_demand, size_run
from longscribe.wording.catalog import translated

_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0
_RATE_HZ, _SAMPLE_BYTES, _TEMPO = 16_000, 2, 1.2
_CANDIDATES: Final = 5
# Beside a run's own memory: the worker, the flow's process and the kernel.
_MACHINE_RESERVE_BYTES: Final = 2e9
# Of a file in float16, and of the engine's own int8 beside it.
_STORED_BYTES_PER_WEIGHT: Final = 3.0
# Prefect's defaults: a worker asks for work every 10 s, and says every 30 s that it is there.
_WORKER_REQUESTS_PER_S: Final = 1 / 10 + 1 / 30
_BUSY_SERVER: Final = 0.7  # cores of a process of the server, at most
_SYSTEM_DISK_BYTES: Final = 6e9  # Python, torch and the rest; images take as much

# Width, heads, layers of the encoder and of the decoder, mels, vocabulary: openai-whisper's card.
_SIZES: Final[dict[str, tuple[int, int, int, int, int, int]]] = {
    "tiny": (384, 6, 4, 4, 80, 51865),
    "base": (512, 8, 6, 6, 80, 51865),
    "small": (768, 12, 12, 12, 80, 51865),
    "medium": (1024, 16, 24, 24, 80, 51865),
    "turbo": (1280, 20, 32, 4, 128, 51866),
    "large": (1280, 20, 32, 32, 128, 51866),
    "distil-large-v3": (1280, 20, 32, 2, 128, 51866),
}
_SAME_SIZE: Final = {
    "large-v1": "large",
    "large-v2": "large",
    "large-v3": "large",
    "large-v3-turbo": "turbo",
    "distil-large-v2": "distil-large-v3",
    "distil-large-v3.5": "distil-large-v3",
    **{f"{size}.en": size for size in ("tiny", "base", "small", "medium")},
}

MODELS: Final = (*_SIZES, *_SAME_SIZE)


class Plan(BaseModel):
    """What a load needs.

    Attributes:
        load: that it is for.
        runs_per_day: recordings.
        chunks_per_run: of each.
        core_s_per_hour: of an hour of recording, all included.
        chunks_core_s_per_hour: of it, decoding; with a GPU, waiting for it.
        gpus: at work on the average of the hours of work, none to spare.
        cores: at work on the average of the hours of work, none to spare.
        machines: workers; each takes one recording at a time.
        memory_bytes_per_machine: they need at least.
        disk_bytes_per_machine: they need at least, with a cache of a month's share of results.
        transcripts_bytes_per_day: that are written, without a page's sound.
        requests_per_s: to the server's API, on the average of the hours of work.
        server_cores: at work, of the server.
        server_processes: of the server, behind one address.
        database_cores: at work, of PostgreSQL.
        database_bytes_per_day: that it grows by.
        database_bytes: after `keep_days`.
        rows_per_day: of tasks.
        price_per_hour: of recording; None where no price was given.
        price_per_day: of the machines, all day; None where no price was given.
        estimated: names of constants that are estimates.
        notes: what breaks first.
    """

    model_config = ConfigDict(frozen=True)

    load: Load
    runs_per_day: float
    chunks_per_run: int
    core_s_per_hour: float
    chunks_core_s_per_hour: float
    gpus: float
    cores: float
    machines: int
    memory_bytes_per_machine: float
    disk_bytes_per_machine: float
    transcripts_bytes_per_day: float
    requests_per_s: float
    server_cores: float
    server_processes: int
    database_cores: float
    database_bytes_per_day: float
    database_bytes: float
    rows_per_day: float
    price_per_hour: float | None
    price_per_day: float | None
    estimated: tuple[str, ...]
    notes: tuple[str, ...]


def plan(hours_per_day: float, model: str = "turbo", **others: Any) -> Plan:
    """What so many hours of recording a day need.

    Args:
        hours_per_day: of recording.
        model: one of `MODELS`.
        others: the other values of `Load`.

    Raises:
        OptionError: a value is out of range or not known.
    """
    return plan_for(check_load(hours_per_day=hours_per_day, model=model, **others))


def plan_for(load: Load, constants: Measured | None = None) -> Plan:
    """What a load needs, by the constants that are measured or by others.

    Raises:
        OptionError: the model or the processor is not known, or a machine is too small.
    """
    known = constants or measured()
    size = _size(load.model)
    if load.processor not in known.processor_factors:
        raise OptionError(
            translated("--processor: {name!r} is not known; choose from {names}.").format(
                name=load.processor, names=", ".join(known.processor_factors)
            )
        )
    decoding = _decoding(load, size, known)
    chunks_core_s = math.prod(constant.value for constant in decoding.values())
    runs = load.hours_per_day * 60 / load.recording_minutes
    chunks = max(1, math.ceil(load.recording_minutes / load.chunk_minutes))
    runs_per_hour = 60 / load.recording_minutes
    core_s = (
        chunks_core_s
        + known.run_core_s_per_hour.value
        + runs_per_hour * (known.run_core_s.value + chunks * known.chunk_core_s.value)
    )
    work_s = load.hours_of_work * _HOUR_S
    cores = load.hours_per_day * core_s / work_s
    # A core waits for a GPU as long as that decodes.
    gpus = load.hours_per_day * chunks_core_s / work_s if load.gpu != NO_GPU else 0.0
    share = 1 - load.spare_percent / 100
    machines = max(1, math.ceil(cores / share / load.cores_per_machine), math.ceil(gpus / share))
    rows = chunks if load.rows == "chunk" else 1

    prefix = "" if load.rows == "chunk" else "recording_"

    def of_a_run(what: str) -> float:
        run: Constant = getattr(known, f"{prefix}run_{what}")
        chunk: Constant = getattr(known, f"{prefix}chunk_{what}")
        return run.value + chunks * chunk.value

    per_work_s = runs / work_s
    # Besides: workers that ask for work, and runs that show how far they are while they last.
    run_s = core_s * load.recording_minutes / 60 / load.cores_per_machine
    shown = times_shown(run_s) if load.rows == "chunk" else 0.0
    asked_per_s = machines * _WORKER_REQUESTS_PER_S
    database_bytes_per_day = runs * (
        of_a_run("database_bytes") + shown * known.shown_database_bytes.value
    )
    busy_server_cores = (
        per_work_s * (of_a_run("server_core_s") + shown * known.shown_server_core_s.value)
        + asked_per_s * known.request_server_core_s.value
    )
    # Each is one thread of Python; events come in bursts.
    server_processes = max(1, math.ceil(busy_server_cores / _BUSY_SERVER))
    server_cores = busy_server_cores + server_processes * known.rest_server_cores.value
    database_cores = known.rest_database_cores.value + per_work_s * (
        of_a_run("database_core_s") + shown * known.shown_database_core_s.value
    )
    price = load.core_hour_price
    price_per_day = None
    if price is not None:
        gpu_price = load.gpu_hour_price if load.gpu != NO_GPU else 0.0
        price_per_day = 24 * machines * (load.cores_per_machine * price + gpu_price)
    hours_per_machine = load.hours_per_day / machines
    made = Plan(
        load=load,
        runs_per_day=runs,
        chunks_per_run=chunks,
        core_s_per_hour=core_s,
        chunks_core_s_per_hour=chunks_core_s,
        gpus=gpus,
        cores=cores,
        machines=machines,
        memory_bytes_per_machine=_memory_bytes(load, size),
        disk_bytes_per_machine=_disk_bytes(load, size, hours_per_machine, known),
        transcripts_bytes_per_day=load.hours_per_day * known.transcript_bytes_per_hour.value,
        requests_per_s=per_work_s * (of_a_run("requests") + shown * known.shown_requests.value)
        + asked_per_s,
        server_cores=server_cores,
        server_processes=server_processes,
        database_cores=database_cores,
        database_bytes_per_day=database_bytes_per_day,
        database_bytes=database_bytes_per_day * load.keep_days,
        rows_per_day=runs * rows,
        price_per_hour=None if price_per_day is None else price_per_day / load.hours_per_day,
        price_per_day=price_per_day,
        estimated=_estimated(decoding, known),
        notes=(),
    )
    return made.model_copy(update={"notes": tuple(_notes(made))})


def _decoding(load: Load, size: str, known: Measured) -> dict[str, Constant]:
    """What the cores' time for an hour's chunks is the product of."""
    if load.gpu == NO_GPU:
        return {
            "base_core_s_per_hour": known.base_core_s_per_hour,
            f"size {size}": known.size_factors[size],
            f"processor {load.processor}": known.processor_factors[load.processor],
        }
    if load.gpu not in known.gpu_s_per_hour:
        raise OptionError(
            translated("--gpu: {name!r} is not known; choose from {names}.").format(
                name=load.gpu, names=", ".join((NO_GPU, *known.gpu_s_per_hour))
            )
        )
    return {f"{size} on {load.gpu}": known.gpu_s_per_hour[load.gpu][size]}


def _size(model: str) -> str:
    size = _SAME_SIZE.get(model, model)
    if size not in _SIZES:
        raise OptionError(
            translated("--model: {name!r} has no known cost; choose from {names}.").format(
                name=model, names=", ".join(MODELS)
            )
        )
    return size


def _dims(size: str) -> ModelDims:
    width, heads, encoder, decoder, mels, vocabulary = _SIZES[size]
    return ModelDims(
        n_mels=mels,
        n_audio_ctx=1500,
        n_audio_state=width,
        n_audio_head=heads,
        n_audio_layer=encoder,
        n_vocab=vocabulary,
        n_text_ctx=448,
        n_text_state=width,
        n_text_head=heads,
        n_text_layer=decoder,
    )


def _memory_bytes(load: Load, size: str) -> float:
    """As a run reckons before it starts (`runtime.machine`)."""
    chunk_s = 60 * min(load.chunk_minutes, load.recording_minutes)
    demand = memory_demand(_dims(size), chunk_s, _CANDIDATES, int8=True, batched=True)
    unlimited = Machine(cores=load.cores_per_machine, available_bytes=1 << 62)
    workers = max(1, math.ceil(load.recording_minutes / load.chunk_minutes))
    sizing = size_run(unlimited, workers, demand)
    needed = sizing.workers * demand.per_worker_bytes(sizing.batch_size) + demand.shared_bytes
    return needed + _MACHINE_RESERVE_BYTES


def _disk_bytes(load: Load, size: str, hours_per_machine: float, known: Measured) -> float:
    """Samples at both tempos of one recording, the weights, and the kept results of a month."""
    samples = _RATE_HZ * _SAMPLE_BYTES * 60 * load.recording_minutes * (1 + 1 / _TEMPO)
    weights = _STORED_BYTES_PER_WEIGHT * _dims(size).parameters
    results = 30 * hours_per_machine * known.result_bytes_per_hour.value
    return _SYSTEM_DISK_BYTES + samples + weights + min(results, 1e9)


def _estimated(decoding: dict[str, Constant], known: Measured) -> tuple[str, ...]:
    others = {
        name: value for name in Measured.model_fields
        if isinstance(value := getattr(known, name), Constant)
    }  # fmt: skip
    found = {**decoding, **others}
    return tuple(name for name, constant in found.items() if constant.basis == "estimated")


def _notes(made: Plan) -> list[str]:
    load, notes = made.load, []
    outnumbered = load.chunk_minutes * load.cores_per_machine > load.recording_minutes
    if outnumbered and load.gpu == NO_GPU:
        notes.append(
            translated(
                "A recording has {chunks} chunk(s) for {cores} cores: give a worker "
                "--limit {limit}, or take smaller machines."
            ).format(
                chunks=made.chunks_per_run,
                cores=load.cores_per_machine,
                limit=max(1, round(load.cores_per_machine / made.chunks_per_run)),
            )
        )
    if made.server_processes > 1:
        notes.append(
            translated(
                "One process of the server does not keep up: start {count} behind one address, "
                "with Redis and background services apart."
            ).format(count=made.server_processes)
        )
    if load.rows == "chunk" and made.rows_per_day > 100_000:
        notes.append(
            translated(
                "{rows:,.0f} rows of chunks a day: LONGSCRIBE_ROWS=recording has one for each "
                "recording."
            ).format(rows=made.rows_per_day)
        )
    return notes
