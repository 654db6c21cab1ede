"""What a worker does before its first chunk: hear one silent window, so that kernels are there.

numba gives a process that compiles a kernel other machine code than it keeps: the last bits of a
result differ between the run that compiled it and all later ones, and so, now and then, does a word
(seen with numba 0.68.1). So kernels are compiled in a process of their own, and everybody else, on
the first run as later, takes what was kept.
"""

import fcntl
import hashlib
import os
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import psutil
import whisper
from llvmlite import binding
from numba.core import config
from whisper.audio import N_SAMPLES

from longscribe.decoding.logits_processors import LogitsProcessors
from longscribe.decoding.tokenizer import tokenizer_of
from longscribe.decoding.word_timestamps import time_words
from longscribe.engine.network import FRAMES_STEP, Network
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions
from longscribe.runtime.worker_progress import advance

_LOOK_EVERY_S: Final = 0.5
_WITHIN_S: Final = 900.0  # a slow machine's minutes; then they are compiled here
_numba: Any = config  # whose settings are made at run time
_COMPILE: Final = """
import pickle, sys
from longscribe.cache.kernels import kernels_folder
from longscribe.engine.processor import set_up_numba
from longscribe.runtime.lifetime import end_with_parent
end_with_parent(int(sys.argv[1]))
set_up_numba(kernels_folder())
from longscribe.decoding.chunk import rehearse_first_layers
rehearse_first_layers(*pickle.load(sys.stdin.buffer))
"""


def rehearse(network: Network, options: DecodingOptions) -> None:
    """Hear one silent window with every kernel: the first use of one loads or compiles it.

    In the first chunk that would be a second or two of its time, from which the run learns its
    pace; here the recording is still being prepared.
    """
    tokenizer = tokenizer_of(network.dims, network.added_texts)
    silence = whisper.log_mel_spectrogram(np.zeros(N_SAMPLES, np.float32), network.dims.n_mels)
    network.encode([silence[:, :FRAMES_STEP]])
    session = network.start([0], tokenizer.sot_sequence, 0, rows_per_window=2)
    session.keep([0, 0])
    # Its first use of the tokenizer compiles an expression of 1600 special tokens: 0.35 s.
    rules = LogitsProcessors.of(tokenizer, options)
    logits = session.step([tokenizer.eot, tokenizer.eot]).numpy()
    norms = rules.apply(logits, [[], []])
    rules.pick(logits, norms, 1.0, np.zeros(2, np.float32))
    time_words(network, tokenizer, ((0, 0),), 0, tokenizer.encode(" one, two"), 1.0)


def have_compiled(model: ModelSpec, options: DecodingOptions, kind: str) -> None:
    """Have the kernels that chunks on a CPU need compiled and kept, where nobody has yet.

    One process does it, and others that need them meanwhile wait for it. Where they cannot be kept,
    the caller compiles them for itself.

    Args:
        model: that chunks are to be heard by.
        options: of the run.
        kind: of network, for which other kernels are needed.
    """
    folder = Path(_numba.CACHE_DIR)
    if not folder.is_absolute():  # numba keeps them beside the sources
        return
    done = folder / f"{kind}-{_processor()}.compiled"
    if done.exists():
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with done.with_suffix(".lock").open("w") as lock:
            _take(lock)
            if not done.exists() and _compiled_elsewhere(pickle.dumps((model, options))):
                done.touch()


def _processor() -> str:
    """What numba keeps compiled code by, beside the kernels' sources."""
    name, features = _numba.CPU_NAME or binding.get_host_cpu_name(), _numba.CPU_FEATURES
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    return f"{name}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


def _take(lock: IO[str]) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_EVERY_S)
            advance()
        else:
            return


def _compiled_elsewhere(given: bytes) -> bool:
    """Whether a process of its own compiled all; it counts as this one's progress."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _COMPILE, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write(given)
    ends_at_s = time.monotonic() + _WITHIN_S
    computed_s = 0.0
    try:
        while time.monotonic() < ends_at_s:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOK_EVERY_S) == 0
            with suppress(psutil.Error):
                times = psutil.Process(child.pid).cpu_times()
                if times.user + times.system > computed_s:
                    computed_s = times.user + times.system
                    advance()
        return False
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
