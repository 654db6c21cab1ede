"""The name under which a chunk's result is kept: all that its text depends on, and nothing else.

In it are the samples, the sound in them, whether they may be heard again at their own tempo, the
weights, the decoding options, the numbers they are computed with, the code, and the processor's
instructions, by which the code chooses its arithmetic.
Not in it are the recording's path and the chunk's place in it, the outputs, workers, threads and
the number of windows decoded side by side.
"""

import hashlib
import json
import platform
from typing import Final

from longscribe.audio.chunks import Chunk
from longscribe.cache.code import sources_sha256, versions_of
from longscribe.models.names import OFFICIAL
from longscribe.models.weights import ModelSpec
from longscribe.options import DecodingOptions, Precision
from longscribe.runtime.machine import instruction_set

# The code that turns samples into a text and its times. A change of it, however small, makes other
# keys: a chunk done twice costs minutes, a text that no code of today gives costs trust.
_SOURCES: Final = ("decoding", "engine", "models")
_LIBRARIES: Final = ("torch", "openai-whisper", "numba", "numpy")


def expected_precision(options: DecodingOptions, gpus: int) -> Precision:
    """What `auto` becomes in `decoding.arithmetic`, told without loading torch.

    Where a worker finds that it is not so (a build of torch without int8 products), it says so in
    its result, which then does not count as one of this precision.
    """
    if options.precision != "auto":
        return options.precision
    if options.device == "cuda" or (options.device == "auto" and gpus):
        return "float16"
    packs = platform.machine() in ("x86_64", "AMD64")
    return "int8" if packs and options.decoding == "batched" else "float32"


def decoding_digest(spec: ModelSpec, options: DecodingOptions, precision: Precision) -> str:
    """A sha256 of how chunks are decoded: the code, the processor, the weights, the options."""
    values = options.model_dump(mode="json", exclude={"device", "precision"})
    return _digest(
        {
            "code": sources_sha256(_SOURCES),
            "libraries": versions_of(*_LIBRARIES),
            "instructions": instruction_set(),
            "weights": spec.sha256,
            # The heads that follow the words are known by an official model's name.
            "name": spec.name if spec.name in OFFICIAL else "",
            "heads": spec.alignment_heads,
            "suppressed": spec.suppress_tokens,
            "precision": precision,
            "options": values,
        }
    )


def chunk_key(chunk: Chunk, decoding: str) -> str:
    """The sha256 that names a chunk's result.

    Args:
        chunk: whose samples are known by their own digest.
        decoding: from `decoding_digest`.
    """
    return _digest(
        {
            "decoding": decoding,
            "samples": chunk.sha256,
            "sound": chunk.sound,
            "hears_again": chunk.own_tempo is not None,
        }
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
