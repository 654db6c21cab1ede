"""What this process may use of the machine, and how many workers of a model that makes."""

import os
import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from longscribe.errors import ResourceError
from longscribe.models.checkpoint import ModelDims
from longscribe.wording.catalog import translated

_CGROUP_ROOT = Path("/sys/fs/cgroup")
# Flags of /proc/cpuinfo by which the engine, torch and oneDNN choose their arithmetic.
_CHOSEN_BY = frozenset(
    {
        *("avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
        *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
        *("asimd", "asimddp", "i8mm", "bf16", "sve"),
    }
)
_GB = 1e9

# Measured with benchmarks/worker_memory.py; the table is in benchmarks/NOTES.md. First a worker
# before its model (Python, Prefect, torch, whisper), then a chunk's samples, as int16 and float32,
# and, in sequential decoding, its spectrogram.
_BARE_WORKER_BYTES = 560_000_000
_BARE_GPU_WORKER_BYTES = 1_300_000_000  # with CUDA's libraries at work; seen on an H200, torch 2.11
_CHUNK_BYTES_PER_S = 450_000
_SAFETY = 1.1

# Windows decoded side by side: more share the reading of the weights, but each keeps its keys and
# values in memory. Workers share the memory for these, so that a second one costs little of it.
_WINDOWS_BYTES = 900_000_000
_SMALLEST_BATCH, _LARGEST_BATCH = 6, 24
_BATCH_OF_GPU = 24

_FALLING_BACK = 4  # windows sampled at once at higher temperatures, as far as memory is planned for

# Kept free for the parent, the embedded server and the rest of the machine.
_RESERVED_BYTES = 600_000_000


class Machine(BaseModel):
    """Cores and memory that this process may really use."""

    model_config = ConfigDict(frozen=True)

    cores: int
    available_bytes: int
    gpus: int = 0


class Demand(BaseModel):
    """What a model wants of the memory: once, for every worker, and for every window of a batch."""

    model_config = ConfigDict(frozen=True)

    shared_bytes: int
    worker_bytes: int
    window_bytes: int

    def per_worker_bytes(self, batch_size: int) -> int:
        """A worker's own memory, the shared weights left out."""
        return self.worker_bytes + batch_size * self.window_bytes


class Sizing(BaseModel):
    """How a run uses the machine; `notes` say where it had to differ from what was asked."""

    model_config = ConfigDict(frozen=True)

    workers: int
    threads_per_worker: int
    memory_per_worker_bytes: int
    batch_size: int
    notes: tuple[str, ...] = ()

    def halved(self, times: int) -> "Sizing":
        """With half the workers, so many times; with one left, half its batches instead."""
        workers, batch_size = self.workers, self.batch_size
        for _ in range(times):
            if workers > 1:
                workers //= 2
            else:
                batch_size = max(1, batch_size // 2)
        threads = self.workers * self.threads_per_worker // workers
        changed = {"workers": workers, "threads_per_worker": threads, "batch_size": batch_size}
        return self.model_copy(update=changed)


def this_machine(cgroup_root: Path = _CGROUP_ROOT) -> Machine:
    """The cores and memory left to this process by affinity, cgroups (v2 and v1) and the host."""
    cores = float(len(os.sched_getaffinity(0)))
    available_bytes = psutil.virtual_memory().available
    for folder in _cgroup_folders(cgroup_root):
        cores = min(cores, _cores_of(folder))
        limit_bytes = _number(folder, "memory.max", "memory.limit_in_bytes")
        used_bytes = _number(folder, "memory.current", "memory.usage_in_bytes")
        if limit_bytes is not None and used_bytes is not None:
            # Cached file pages are given back under pressure: they do not count as used.
            used_bytes -= _statistic(folder, "inactive_file")
            available_bytes = min(available_bytes, max(0, limit_bytes - used_bytes))
    return Machine(cores=max(1, int(cores)), available_bytes=available_bytes, gpus=_gpus())


def out_of_memory_kills() -> int:
    """Processes that the kernel has killed for memory since the machine started, in any cgroup."""
    for line in (_text(Path("/proc/vmstat")) or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def memory_demand(
    dims: ModelDims,
    chunk_s: float,
    candidates: int,
    *,
    int8: bool,
    batched: bool,
    gpu: bool = False,
) -> Demand:
    """The memory of the machine that a model wants; a GPU's own is not part of it.

    Args:
        dims: of the model.
        chunk_s: seconds of the longest chunk.
        candidates: hypotheses of a window that falls back, side by side (best_of or beam_size).
        int8: its linear layers and cross-attention are int8, otherwise float32.
        batched: decoding in batches, otherwise openai-whisper's loop.
        gpu: it works on a GPU, whose memory then holds its windows and its weights: what was read
            of the file that they come from, the kernel takes back when memory is wanted.
    """
    if gpu:
        worker_bytes = _SAFETY * (_BARE_GPU_WORKER_BYTES + _CHUNK_BYTES_PER_S * chunk_s)
        return Demand(shared_bytes=0, worker_bytes=int(worker_bytes), window_bytes=0)
    width = dims.n_text_layer * dims.n_text_state
    embedding = dims.n_vocab * dims.n_text_state
    shared_bytes = dims.parameters + 2 * embedding if int8 else 4 * dims.parameters
    # Keys and values for every position: of cross-attention once, of self-attention (bfloat16 in
    # int8) for each row, up to half the context.
    per_number_bytes = 1.1 if int8 else 4.0  # int8 has scales beside it
    cross_bytes = 2 * dims.n_audio_ctx * width * per_number_bytes
    self_bytes = 2 * (dims.n_text_ctx // 2) * width * (2 if int8 else 4)
    window_bytes = cross_bytes + self_bytes
    # The encoder at work: a few activations, the widest 4 d, and torch's own buffers beside them.
    encoder_bytes = dims.n_audio_ctx * dims.n_audio_state * 4 * 16
    worker_bytes = _BARE_WORKER_BYTES + encoder_bytes + _CHUNK_BYTES_PER_S * chunk_s
    worker_bytes += _FALLING_BACK * candidates * self_bytes
    if not batched:
        worker_bytes += candidates * window_bytes
        window_bytes = 0.0
    return Demand(
        shared_bytes=shared_bytes,
        worker_bytes=int(_SAFETY * worker_bytes),
        window_bytes=int(_SAFETY * window_bytes),
    )


def size_run(
    machine: Machine,
    chunks: int,
    demand: Demand,
    *,
    workers: int | None = None,
    threads_per_worker: int | None = None,
    memory_per_worker_bytes: int | None = None,
    batch_size: int | None = None,
) -> Sizing:
    """How many workers with how many threads; None means automatic.

    Never more threads than cores, never more workers than chunks or than memory for them. Many
    workers with few threads beat few with many, as decoding is a chain of small products. A GPU is
    a worker's own.

    Raises:
        ResourceError: not even one worker fits.
    """
    notes: list[str] = []
    threads = threads_per_worker or 1
    if threads > machine.cores:
        note = translated("{threads} threads per worker asked, {cores} cores: using that many")
        notes.append(note.format(threads=threads, cores=machine.cores))
        threads = machine.cores
    by_cores = machine.gpus or machine.cores // threads
    wanted = max(1, min(workers or by_cores, by_cores, chunks))
    usable_bytes = machine.available_bytes - _RESERVED_BYTES - demand.shared_bytes
    for count in range(wanted, 0, -1):
        batch = batch_size or _batch_size(machine, count, demand)
        needed_bytes = demand.per_worker_bytes(batch)
        per_worker_bytes = memory_per_worker_bytes or needed_bytes
        if count * per_worker_bytes <= usable_bytes:
            break
    else:
        raise ResourceError(
            translated(
                "not even one worker fits: it needs about {needed:.1f} GB, and {free:.1f} GB are "
                "free beside the weights' {shared:.1f} GB; use a smaller model, shorter chunks, a "
                "smaller --batch-size, or a machine with more memory."
            ).format(
                needed=per_worker_bytes / _GB,
                free=max(0, usable_bytes) / _GB,
                shared=demand.shared_bytes / _GB,
            )
        )
    if per_worker_bytes < needed_bytes:
        raise ResourceError(
            translated(
                "--memory-per-worker: the model needs about {needed:.1f} GB per worker beside its "
                "shared weights, {given:.1f} GB are too few; allow more, use a smaller model or a "
                "smaller --batch-size."
            ).format(needed=needed_bytes / _GB, given=per_worker_bytes / _GB)
        )
    if workers is not None and count < min(workers, chunks):
        what = translated("{cores} cores for {threads} threads each")
        if machine.gpus:
            what = translated("{gpus} GPU(s)")
        if count < wanted:
            what = translated("memory for {count} ({needed:.1f} GB each)")
        what = what.format(
            cores=machine.cores,
            threads=threads,
            gpus=machine.gpus,
            count=count,
            needed=per_worker_bytes / _GB,
        )
        note = translated("{workers} workers asked, {what}: using {count}")
        notes.append(note.format(workers=workers, what=what, count=count))
    if threads_per_worker is None:
        threads = max(1, machine.cores // count)
    return Sizing(
        workers=count,
        threads_per_worker=threads,
        memory_per_worker_bytes=per_worker_bytes,
        batch_size=batch,
        notes=tuple(notes),
    )


def _batch_size(machine: Machine, workers: int, demand: Demand) -> int:
    if machine.gpus:
        return _BATCH_OF_GPU
    fitting = _WINDOWS_BYTES // (workers * max(1, demand.window_bytes))
    return min(max(_SMALLEST_BATCH, fitting), _LARGEST_BATCH)


def scratch_folder() -> Path:
    """Where samples of a run are kept: TMPDIR if set, else /var/tmp, which is never memory."""
    return Path(os.environ.get("TMPDIR") or ("/var/tmp" if Path("/var/tmp").is_dir() else "/tmp"))


def _gpus() -> int:
    """NVIDIA GPUs that the installed torch can use, found without loading it."""
    if version("torch").endswith("+cpu"):
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    if visible is None:
        return present
    return min(
        present, len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    )


def _cgroup_folders(root: Path) -> list[Path]:
    """This process's cgroup and its ancestors, v2 and v1; limits of each one apply."""
    folders: list[Path] = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for mount in [root, *(root / name for name in controllers.split(",") if name)]:
            own = mount / path.lstrip("/")
            folders += [own, *(p for p in own.parents if p.is_relative_to(mount))]
            folders.append(mount)  # in a container the path may be the host's: its root is ours
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _cores_of(folder: Path) -> float:
    quota, period = None, None
    text = _text(folder / "cpu.max")
    if text:
        fields = text.split()
        quota = None if fields[0] == "max" else float(fields[0])
        period = float(fields[1]) if len(fields) > 1 else 100_000.0
    elif (v1 := _text(folder / "cpu.cfs_quota_us")) and float(v1) > 0:
        quota, period = float(v1), float(_text(folder / "cpu.cfs_period_us") or 100_000)
    return quota / period if quota is not None and period else float("inf")


def _number(folder: Path, *names: str) -> int | None:
    for name in names:
        text = _text(folder / name)
        if text and text.isdigit():
            return int(text)
    return None


def _statistic(folder: Path, name: str) -> int:
    for line in (_text(folder / "memory.stat") or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


@cache
def instruction_set() -> tuple[str, ...]:
    """What of the processor the engine's arithmetic depends on, told without torch.

    As Linux names its flags; elsewhere the kind of processor alone.
    """
    found = {platform.machine(), os.environ.get("ONEDNN_MAX_CPU_ISA", "").lower()} - {""}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                found |= _CHOSEN_BY.intersection(line.partition(":")[2].split())
                break
    return tuple(sorted(found))
