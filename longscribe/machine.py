"""What this process may use of the machine, and how many workers of a model that makes."""

import os
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from longscribe.checkpoint import ModelDims
from longscribe.errors import ResourceError

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_GB = 1e9

# Measured with benchmarks/worker_memory.py; the table is in benchmarks/NOTES.md. First a worker
# before its model (Python, Prefect, torch, whisper), then the samples and spectrogram of a chunk.
_BARE_WORKER_BYTES = 560_000_000
_CHUNK_BYTES_PER_S = 450_000
# torch.load holds the float16 file beside the float32 model it is copied into.
_LOADING_BYTES_PER_WEIGHT = 6
_RUNNING_BYTES_PER_WEIGHT = 4
_SAFETY = 1.1

# Kept free for the parent, the embedded server and the rest of the machine.
_RESERVED_BYTES = 600_000_000


class Machine(BaseModel):
    """Cores and memory that this process may really use."""

    model_config = ConfigDict(frozen=True)

    cores: int
    available_bytes: int


class Sizing(BaseModel):
    """How a run uses the machine; `notes` say where it had to differ from what was asked."""

    model_config = ConfigDict(frozen=True)

    workers: int
    threads_per_worker: int
    memory_per_worker_bytes: int
    notes: tuple[str, ...] = ()


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
    return Machine(cores=max(1, int(cores)), available_bytes=available_bytes)


def worker_memory_bytes(dims: ModelDims, chunk_s: float, rows: int) -> int:
    """The peak memory of one worker, in bytes.

    Args:
        dims: of its model.
        chunk_s: seconds of the longest chunk; its spectrogram is held whole.
        rows: hypotheses decoded side by side (best_of or beam_size).
    """
    # Keys and values of self- and cross-attention, float32, for every row (whisper/decoding.py).
    context = dims.n_audio_ctx + dims.n_text_ctx
    cache_bytes = rows * context * dims.n_text_layer * 2 * dims.n_text_state * 4
    # Encoder at work: attention rows of every head plus a few activations.
    encoder_bytes = dims.n_audio_ctx * (4 * dims.n_audio_state * 4 * 4)
    loading_bytes = _LOADING_BYTES_PER_WEIGHT * dims.parameters
    running_bytes = _RUNNING_BYTES_PER_WEIGHT * dims.parameters + cache_bytes + encoder_bytes
    running_bytes += int(_CHUNK_BYTES_PER_S * chunk_s)
    return int(_SAFETY * (_BARE_WORKER_BYTES + max(loading_bytes, running_bytes)))


def size_run(
    machine: Machine,
    chunks: int,
    needed_bytes: int,
    *,
    workers: int | None = None,
    threads_per_worker: int | None = None,
    memory_per_worker_bytes: int | None = None,
) -> Sizing:
    """How many workers with how many threads; None means automatic.

    Never more threads than cores, never more workers than chunks or than memory for them. Many
    workers with few threads beat few with many, as decoding is a chain of small products.

    Raises:
        ResourceError: not even one worker fits.
    """
    notes: list[str] = []
    per_worker_bytes = memory_per_worker_bytes or needed_bytes
    if memory_per_worker_bytes is not None and memory_per_worker_bytes < needed_bytes:
        raise ResourceError(
            f"--memory-per-worker: the model needs about {needed_bytes / _GB:.1f} GB per worker, "
            f"{memory_per_worker_bytes / _GB:.1f} GB are too few; allow more or use a smaller one."
        )
    usable_bytes = machine.available_bytes - _RESERVED_BYTES
    fitting = usable_bytes // per_worker_bytes
    if fitting < 1:
        raise ResourceError(
            f"not even one worker fits: it needs about {per_worker_bytes / _GB:.1f} GB and "
            f"{max(0, usable_bytes) / _GB:.1f} GB are free for it; "
            "use a smaller model, shorter chunks, or a machine with more memory."
        )
    threads = threads_per_worker or 1
    if threads > machine.cores:
        notes.append(f"{threads} threads per worker asked, {machine.cores} cores: using that many")
        threads = machine.cores
    by_cores = machine.cores // threads
    count = min(workers or by_cores, by_cores, fitting)
    if workers is not None and count < workers:
        what = (
            f"memory for {fitting} ({per_worker_bytes / _GB:.1f} GB each)"
            if fitting < by_cores
            else f"{machine.cores} cores for {threads} threads each"
        )
        notes.append(f"{workers} workers asked, {what}: using {count}")
    count = max(1, min(count, chunks))
    if threads_per_worker is None:
        threads = machine.cores // count
    return Sizing(
        workers=count,
        threads_per_worker=threads,
        memory_per_worker_bytes=per_worker_bytes,
        notes=tuple(notes),
    )


def scratch_folder() -> Path:
    """Where samples of a run are kept: TMPDIR if set, else /var/tmp, which is never memory."""
    return Path(os.environ.get("TMPDIR") or ("/var/tmp" if Path("/var/tmp").is_dir() else "/tmp"))


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
