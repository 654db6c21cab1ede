"""What earlier runs left of a recording, told at once: without its samples, torch or Prefect."""

from pathlib import Path
from typing import NamedTuple

from longscribe.audio.recording import Recording
from longscribe.cache.cut_plan import Plan, plan_path, read_plan
from longscribe.cache.results import is_kept
from longscribe.decoding.chunk_key import decoding_digest, expected_precision
from longscribe.models.weights import ModelSpec
from longscribe.options import Precision, RunOptions
from longscribe.runtime.machine import this_machine
from longscribe.tasks.shared_results import SharedResults


class KeptChunks(NamedTuple):
    """The plan of a recording's chunks, and what their results are kept under.

    Attributes:
        precision: that this run will compute in.
        decoding: digest of how this run decodes.
        plan_path: where the recording's plan is kept.
        plan: how the recording was cut when it was last transcribed with these options; None when
            nothing of that is left.
        not_before_s: results kept before do not count, in seconds since 1970.
        shared: what other machines share with this one.
    """

    precision: Precision
    decoding: str
    plan_path: Path
    plan: Plan | None
    not_before_s: float
    shared: SharedResults

    @property
    def are_all(self) -> bool:
        """Whether all chunks seem to be there: told before the samples are, and so not for sure."""
        return self.plan is not None and all(map(self.has, self.plan.chunk_keys))

    def has(self, key: str) -> bool:
        """Whether there is a chunk's result that counts."""
        return is_kept(key, self.not_before_s)


def kept_chunks(
    recording: Recording, spec: ModelSpec, options: RunOptions, not_before_s: float = 0.0
) -> KeptChunks:
    """Look for a recording's chunks, here and in the shared store.

    Args:
        recording: as probed.
        spec: of the model.
        options: of this run.
        not_before_s: results kept before do not count, in seconds since 1970.

    Raises:
        OSError: the recording cannot be read.
        OptionError: LONGSCRIBE_STORE names what cannot be used.
    """
    shared = SharedResults()
    precision = expected_precision(options, this_machine().gpus)
    decoding = decoding_digest(spec, options.for_chunks, precision)
    path = plan_path(
        recording.path, options.speed, options.chunk_minutes, decoding, recording.channel
    )
    shared.bring_plan(path)
    plan = read_plan(path)
    # One without chunks is of a channel in which nobody speaks.
    keys = plan.chunk_keys if plan is not None else ()
    shared.bring(keys, not_before_s)
    found = plan is not None and (not keys or any(is_kept(key, not_before_s) for key in keys))
    return KeptChunks(precision, decoding, path, plan if found else None, not_before_s, shared)
