"""The command `longscribe`: recordings to transcripts, and the service's own commands."""

import sys
from collections.abc import Sequence
from typing import Final, NoReturn

# Each with the module that has its `main`; everything else is a recording to transcribe.
_SERVICE: Final = {
    "serve": "longscribe.deployments.serve",
    "register": "longscribe.deployments.register",
    "worker": "longscribe.deployments.worker",
    "voices": "longscribe.flows.voices_command",
    "web": "longscribe.web.server",
    "users": "longscribe.web.users_command",
    "keys": "longscribe.web.keys_command",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    module = _SERVICE.get(arguments[0]) if arguments else None
    if module is None:
        from longscribe.flows.head_start import give_head_start

        give_head_start(arguments)
        from longscribe.flows.command_line import main as transcribe

        transcribe(arguments)
    import importlib

    from longscribe.wording.catalog import libraries_speak_it

    command = importlib.import_module(module).main
    with libraries_speak_it():
        command.main(arguments[1:], prog_name=f"longscribe {arguments[0]}")
    sys.exit()


if __name__ == "__main__":
    main()
