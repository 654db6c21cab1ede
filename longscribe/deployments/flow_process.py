"""`python -P -m longscribe.deployments.flow_process`: one flow run of a deployment.

What a worker of the pool starts, instead of Prefect's own supervisor and engine one after the other
(prefect/workers/process.py): both import Prefect, and only then the flow begins to import what its
workers need. Here that begins first, in the fork server, beside the engine.
"""

import os
import runpy
from typing import Final

from longscribe.runtime.fork_server import start_fork_server
from longscribe.tasks.preload import PRELOAD

# Set by a worker whose queues hold recordings; a sweep of the inbox has no chunks.
TRANSCRIBES: Final = "LONGSCRIBE_WORKER_TRANSCRIBES"


def main() -> None:
    """Run the flow run that the environment names."""
    if os.environ.get(TRANSCRIBES):
        start_fork_server(PRELOAD)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
