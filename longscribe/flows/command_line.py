"""`longscribe RECORDING...`: the same flow as in the Prefect UI, from a terminal.

`longscribe cache`, `plan` and `tune` are commands of their own; a recording of such a name is
`./cache`.

Exit codes: 0 done; 1 failed; 2 bad input or options, nothing was done; 3 done in part, with gaps;
130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import importlib.metadata
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from longscribe.errors import InputError, LongscribeError, OptionError, RecordingError
from longscribe.flows.cache_command import cache_command
from longscribe.flows.command_options import all_options
from longscribe.flows.head_start import set_prefect_defaults
from longscribe.flows.output import say
from longscribe.flows.prefect_home import check_prefect_home
from longscribe.flows.translated_command import TranslatedCommand, ui_language_of
from longscribe.models.weights import check_model, check_task, find_model, resolve_model
from longscribe.options import RunOptions, check_options
from longscribe.outputs.formats import output_name
from longscribe.runtime.fork_server import kill_fork_server, start_fork_server
from longscribe.runtime.importing import without_collections
from longscribe.runtime.scratch import keeping_names
from longscribe.storage.access import Access
from longscribe.storage.lanes import lanes_on_disk
from longscribe.storage.uploads import check_destination
from longscribe.storage.uris import name_of
from longscribe.tasks.kept_chunks import kept_chunks
from longscribe.tasks.preload import PRELOAD
from longscribe.tasks.shared_weights import bring_weights
from longscribe.text.glossary import read_glossary
from longscribe.text.hotwords import with_hotwords
from longscribe.wording.catalog import (
    libraries_speak_it,
    set_ui_language,
    translatable,
    translated,
)

OK, FAILED, BAD_INPUT, PARTIAL, STOPPED, TERMINATED = 0, 1, 2, 3, 130, 143

_BEGIN_WITHIN_S = 300.0
_BEGIN_AGAIN_S = 2.0

_EPILOG = translatable(
    "openai-whisper's spellings and decoding options work too, such as --output_dir, --beam_size; "
    "the docs have all. Exit codes: 0 done, 1 failed, 2 bad input, 3 done with gaps. "
    "`longscribe tune` compares options, `cache` shows what is kept, `plan` what many hours need, "
    "`serve` starts the service."
)


@click.command(
    cls=TranslatedCommand,
    help=translatable("Transcribe recordings to text, subtitles and a page, in DIR/RECORDING/."),
    epilog=_EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "max_content_width": 100,
    },
)
@click.argument("recordings", metavar="RECORDING...", nargs=-1, required=True)
@all_options
@click.version_option(
    importlib.metadata.version("longscribe"),
    *("-V", "--version"),
    help=translatable("Show the version and exit."),
)
def command(
    recordings: tuple[str, ...],
    show: bool,
    together: bool,
    verbose: bool,
    fp16: bool | None,
    **values: Any,
) -> int:
    """Transcribe recordings to text, subtitles and a page, in DIR/RECORDING/."""
    runs = _runs(recordings, values, together=together)
    _refuse_same_outputs(runs)
    check_task(runs[0].model, runs[0].task)
    bring_weights(runs[0].model, runs[0].model_dir)
    check_model(runs[0].model, runs[0].model_dir)
    if runs[0].voice_count is not None:
        # Only here: most runs tell no voices apart.
        from longscribe.speakers.diarizer import check_diarizer

        check_diarizer(runs[0])
    refused = {options.recording: _refusal(options) for options in runs}
    codes = {recording: _complain(str(error)) for recording, error in refused.items() if error}
    runs = [options for options in runs if options.recording not in codes]
    if not runs:
        return _summed_up(codes)
    set_prefect_defaults()
    check_prefect_home()
    undone = [options for options in runs if not _is_done(options)]
    here = [options for options in undone if options.runner == "processes"]
    if undone and not here:
        # Only here: it imports Dask.
        from longscribe.tasks.cluster_sizing import check_cluster

        check_cluster(undone[0])
    if here:
        start_fork_server(PRELOAD)  # unless it had a head start
    else:
        kill_fork_server()
    # Only now: importing Prefect takes seconds, which --help, bad options and the fork server need
    # not wait for. And with all that the run will need, while the server is on its way up.
    with without_collections():
        from longscribe.flows.server import connected, started_server

        server = started_server()
        import longscribe.flows.transcribe
        from longscribe.task_runner import keeping_workers
        from longscribe.tasks.chunk_runner import start_workers_early

    with keeping_workers():
        if runs[0] in here:
            start_workers_early(runs[0])  # with the server, and not after it
        with without_collections():
            import longscribe.flows.late_imports  # noqa: F401
        with connected(server):
            codes |= {options.recording: _run(options, show or verbose) for options in runs}
            return _summed_up(codes)


def _runs(
    recordings: Sequence[str], values: Mapping[str, Any], *, together: bool
) -> list[RunOptions]:
    """The options of each run: one a recording, or one for all of a conversation."""
    if not together:
        return [check_options(recording=recording, **values) for recording in recordings]
    if len(recordings) < 2:
        raise OptionError(
            translated("--together: name the recordings of the conversation, two or more.")
        )
    return [check_options(recording=recordings[0], together=recordings[1:], **values)]


def _refusal(options: RunOptions) -> InputError | None:
    """Why a run cannot even begin: told before a server, where its flow would take seconds."""
    try:
        for recording in options.recordings:
            if not _is_utf8(recording):
                raise RecordingError(
                    translated(
                        "{recording!r} has a name that is not UTF-8; rename it, or give a link to "
                        "it."
                    ).format(recording=recording)
                )
        options = Access.from_environment().confine(options)
        read_glossary(options.glossary)
        with_hotwords(options)
        check_destination(options.output_dir, output_name(Path(name_of(options.recording))))
        lanes_on_disk(options)
    except InputError as error:
        return error
    return None


def _is_done(options: RunOptions) -> bool:
    """Whether no chunk seems to be left for workers to transcribe, as `EarlierWork` tells."""
    if options.fresh:
        return False
    if find_model(options.model, options.model_dir) is None:
        return False
    spec = resolve_model(options.model, options.model_dir)
    with suppress(OSError, InputError):
        lanes = lanes_on_disk(options)
        options = with_hotwords(options)
        return lanes is not None and all(
            kept_chunks(lane.recording, spec, options).are_all for lane in lanes
        )
    return False


def _is_utf8(name: str) -> bool:
    """Whether a name can be written into a database, a log and a page."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding, which Python keeps as surrogates
        return False
    return True


def _summed_up(codes: Mapping[str, int]) -> int:
    """The worst exit code of all recordings; of several, a line says which are not done."""
    undone = [repr(recording) for recording, code in codes.items() if code not in (OK, PARTIAL)]
    if undone and len(codes) > 1:
        line = translated("{done} of {total} recordings done; not: {undone}")
        done = len(codes) - len(undone)
        say(line.format(done=done, total=len(codes), undone=", ".join(undone)))
    return max(codes.values(), key=_severity)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `longscribe`: runs the command and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    set_ui_language(ui_language_of(arguments))
    with libraries_speak_it():
        sys.exit(_main(arguments))


def _main(arguments: list[str]) -> int:
    # Prefect ends the run first and then passes the signal on to us: leave as after Ctrl-C, through
    # every `finally` and exit handler, or the embedded server would live on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        if arguments[:1] == ["cache"]:
            chosen, name, arguments = cache_command, "longscribe cache", arguments[1:]
        elif arguments[:1] == ["plan"]:
            from longscribe.flows.plan_command import plan_command

            chosen, name, arguments = plan_command, "longscribe plan", arguments[1:]
        elif arguments[:1] == ["tune"]:
            # Only here: it brings the Python API, which delays a run.
            from longscribe.flows.tune_command import tune_command

            chosen, name, arguments = tune_command, "longscribe tune", arguments[1:]
        else:
            chosen, name = command, "longscribe"
        code: int = chosen.main(args=arguments, prog_name=name, standalone_mode=False)
        return code
    except click.ClickException as error:
        dashed = any(map(_is_dashed_file, arguments))
        hint = translated("see longscribe --help")
        if dashed:
            hint = translated("put -- before a name that starts with a dash")
        return _complain(f"{error.format_message().rstrip('.')}; {hint}")
    except InputError as error:
        return _complain(str(error))
    except (KeyboardInterrupt, click.Abort):
        return _complain(translated("stopped"), STOPPED)


def _run(options: RunOptions, show: bool) -> int:
    """Transcribe one recording; its exit code."""
    from multiprocessing import util

    import httpx

    from longscribe.flows.transcribe import transcribe
    from longscribe.tasks.stopping import StoppedAlone
    from longscribe.tasks.summary import RunSummary

    parameters = options.model_dump()
    lists = {name: list(value) for name, value in parameters.items() if isinstance(value, tuple)}
    parameters.update(lists)  # as JSON has them
    try:
        with keeping_names(unreported=(httpx.HTTPError, StoppedAlone)):
            summary: Any = _begun(transcribe, parameters)
    except StoppedAlone as stopped:
        _complain(
            translated(
                "{recording!r}: stopped; the Prefect server does not answer, so the run stays "
                "Running there until the next one on this machine."
            ).format(recording=options.recording)
        )
        sys.stdout.flush()
        # Prefect's exit handlers would wait for the server to take the last lines of the log;
        # those of multiprocessing remove its semaphores and sockets.
        util._run_finalizers()  # type: ignore[attr-defined]  # private
        os._exit(STOPPED if isinstance(stopped.stop, KeyboardInterrupt) else TERMINATED)
    except InputError as error:
        return _complain(str(error))
    except httpx.HTTPError as error:
        return _complain(
            translated(
                "{recording!r}: the Prefect server stopped answering ({error}); finished chunks "
                "are kept: run it again when it is back."
            ).format(recording=options.recording, error=type(error).__name__),
            FAILED,
        )
    except LongscribeError as error:
        return _complain(f"{options.recording!r}: {error}", FAILED)
    assert isinstance(summary, RunSummary)
    if show:
        for line in summary.lines:
            say(line)
    return PARTIAL if summary.failed_chunks else OK


def _begun(flow: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """Call a flow, again where the server was away just when Prefect asked for its version.

    It asks once, before the run begins, and everything later as often as it is told to.
    """
    import httpx

    give_up_s = time.monotonic() + _BEGIN_WITHIN_S
    while True:
        try:
            return flow(**parameters)
        except RuntimeError as error:
            if not isinstance(error.__cause__, httpx.TransportError):
                raise
            if time.monotonic() > give_up_s:
                raise error.__cause__ from None
            time.sleep(_BEGIN_AGAIN_S)


def _refuse_same_outputs(runs: Sequence[RunOptions]) -> None:
    seen: dict[str, str] = {}
    for options in runs:
        name = output_name(Path(name_of(options.recording)))
        if name in seen:
            raise OptionError(
                translated(
                    "{first!r} and {second!r} would both be written to the folder {name!r}; "
                    "transcribe them one by one with different --output-dir."
                ).format(first=seen[name], second=options.recording, name=name)
            )
        seen[name] = options.recording


def _severity(code: int) -> int:
    return (OK, PARTIAL, BAD_INPUT, FAILED, STOPPED).index(code)


def _is_dashed_file(argument: str) -> bool:
    return argument.startswith("-") and Path(argument).is_file()


def _complain(sentence: str, code: int = BAD_INPUT) -> int:
    say(f"longscribe: {sentence}", error=True)
    return code


if __name__ == "__main__":
    main()
