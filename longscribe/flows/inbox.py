"""New recordings in a folder or bucket, one run of `transcribe` each: read `inbox`."""

from typing import Annotated, Any

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from longscribe.cache.folder import cache_folder
from longscribe.errors import OptionError
from longscribe.inbox.folder import Afterwards, Inbox, fate
from longscribe.inbox.ledger import Ledger
from longscribe.options import check_options
from longscribe.storage.uris import absolute
from longscribe.tasks.access import access_of_run
from longscribe.tasks.find_recordings import find_recordings
from longscribe.tasks.look_up_runs import look_up_runs
from longscribe.tasks.put_away import put_away
from longscribe.tasks.stage import refusing
from longscribe.tasks.start_runs import Wanted, start_runs
from longscribe.tasks.throughput import throughput
from longscribe.wording.catalog import translated

_ENDED = ("done", "failed")


@flow(
    name="inbox",
    description="Look for new recordings in the inbox, start a run of transcribe for each, and put "
    "away those whose runs have ended. It may be run at any time, also twice at once.",
)
@refusing
def inbox(
    folder: str,
    output_dir: str = "transcripts",
    afterwards: Afterwards = "move",
    settle_minutes: Annotated[float, Field(ge=0.0, le=1440.0)] = 1.0,
    attempts: Annotated[int, Field(ge=1, le=20)] = 3,
    short_megabytes: Annotated[float, Field(ge=0.0)] = 10.0,
    options: dict[str, Any] = {},  # noqa: B006  Prefect needs the default as JSON
) -> None:
    """Sweep the inbox once.

    Args:
        folder: Path or URL of the inbox.
        output_dir: Path or URL of the folder for the transcripts; subfolders of the inbox are kept.
        afterwards: move puts recordings into done/ and failed/; mark leaves them, with a note each.
        settle_minutes: How long a file must have stayed the same before it counts as complete.
        attempts: Runs that may fail before a recording is given up.
        short_megabytes: Recordings up to this size go to the queue that is served first.
        options: Further parameters of transcribe, such as {"language": "pt"}.
    """
    access = access_of_run()
    output_dir = absolute(access.allowed_folder(output_dir, "output_dir"))
    check_options(**{"recording": "any", **options})
    box = Inbox(absolute(access.allowed_folder(folder, "folder")))
    if f"{output_dir}/".startswith(f"{box.folder}/"):
        raise OptionError(
            translated("output_dir: transcripts cannot go into the inbox; name another folder.")
        )

    with Ledger(cache_folder() / "inbox", box.folder) as ledger:
        # Before the listing: a recording given up after it is in neither, rather than put back.
        first_attempts = ledger.first_attempts()
        recordings = find_recordings(box, ledger, 60.0 * settle_minutes)
        if not recordings:
            return

        digests = {recording.digest: recording for recording in reversed(recordings)}
        runs = look_up_runs(box.folder, digests, first_attempts, attempts)
        fates = {
            digest: fate(runs.get(digest, ()), first_attempts.get(digest, 1), attempts)
            for digest in digests
        }
        ended = [(r, fates[r.digest]) for r in recordings if fates[r.digest].kind in _ENDED]
        wanted = [
            Wanted(digests[digest], fate.attempt)
            for digest, fate in fates.items()
            if fate.kind == "start"
        ]
        if ended:
            put_away(box, ledger, ended, afterwards)
        if wanted:
            start_runs(box, wanted, ledger, output_dir, options, 1e6 * short_megabytes)

    get_run_logger().info(
        translated("%d started, %d under way, %d put away"),
        len(wanted),
        sum(fate.kind == "wait" for fate in fates.values()),
        len(ended),
    )
    done = throughput()
    get_run_logger().info(
        translated("In the last hour %d recording(s) of %.1f hours: %.1f audio hours per hour"),
        done.recordings,
        done.sound_s / 3600,
        done.hours_per_hour,
    )
