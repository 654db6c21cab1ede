"""Where a measurement was made: the processor and the versions of what was measured."""

import os
from datetime import date
from importlib import metadata
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_PACKAGES = (
    "longscribe", "torch", "openai-whisper", "faster-whisper", "ctranslate2", "pywhispercpp",
)  # fmt: skip


def describe_machine() -> str:
    """Date, processor, usable cores and the instruction sets that matter to matrix products."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    found = [flag for flag in _FLAGS if flag in flags]
    model = fields.get("model name", "unknown processor")
    cores = len(os.sched_getaffinity(0))
    return f"{date.today().isoformat()}, {cores} cores of {model} ({', '.join(found)})"


def describe_versions() -> str:
    """Versions of the programs compared; those not installed are left out."""
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
