"""What the fork server imports: a name, as the command gives it before it has imported Prefect."""

PRELOAD = ("longscribe.tasks.fork_server_modules",)
