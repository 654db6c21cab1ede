"""What the fork server imports: names, as the command gives them before it has imported Prefect."""

from typing import Final

# The second is the flow's module, which each worker would import with its first chunk: what a task
# is told of its run names it.
PRELOAD: Final = ("longscribe.tasks.fork_server_modules", "longscribe.flows.transcribe")
