"""What the fork server imports for its workers; importing this is all that it does.

Multiprocessing gives it names of modules and no function to call: hence work while importing, here
and nowhere else.
"""

# ruff: noqa: E402, F401
from longscribe.runtime.fork_server import process_that_started_it
from longscribe.runtime.lifetime import end_with_parent

# It sees by a pipe that the flow's process is gone, but not while it imports or is stopped.
end_with_parent(process_that_started_it())

from longscribe.cache.kernels import kernels_folder
from longscribe.engine.processor import set_up_numba
from longscribe.runtime.importing import without_collections

set_up_numba(kernels_folder())

# A collection in a worker would write to, and so copy, the pages that all share.
with without_collections():
    import prefect.task_engine
    import threadpoolctl
    from numba.core.registry import cpu_target

    import longscribe.decoding.batched
    import longscribe.decoding.chunk
    import longscribe.decoding.sequential
    import longscribe.engine.int8_network
    import longscribe.tasks.transcribe_chunk
    import longscribe.tasks.worker

    # What numba imports with the first kernel; no kernel itself: its threads must start after a
    # fork.
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
