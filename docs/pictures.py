"""Takes the pictures in this folder anew, unattended: `make pictures`, some minutes.

Everything in them is real: a two-hour recording (the synthetic sample again and again) goes through
the command with the widened base model, and the terminal, the Prefect UI and the transcript's page
are looked at meanwhile and afterwards. It all happens in a folder of its own with a home of its
own, so that no path of the machine is seen. What else the machine does is seen: keep it quiet.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page, ViewportSize

from benchmarks.recordings import SYNTHETIC, repeated_sample
from benchmarks.widen import widened
from docs.photographer import PICTURE_VARIABLE, TITLE_VARIABLE
from longscribe.flows.work_pool import WORK_POOL
from tests.flows.ui import UI, prefect_ui, wait_for

_PROJECT: Final = Path(__file__).resolve().parent.parent
_PICTURES: Final = _PROJECT / "docs"
_FOLDER: Final = Path("/tmp/longscribe-demo")
_MINUTES: Final = 120.0
_NAME: Final = "Town hall"
_FORM_RECORDING: Final = "/srv/longscribe/media/Town hall.flac"
_SERVICE: Final = {
    "LONGSCRIBE_APP": "/srv/longscribe/app",
    "LONGSCRIBE_INBOX": "/srv/longscribe/media/inbox",
    "LONGSCRIBE_TRANSCRIPTS": "/srv/longscribe/transcripts",
}
_WIDE: Final[ViewportSize] = {"width": 1280, "height": 860}
_ROOMY: Final = 1760
_PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
_AT_S: Final = 38.4  # of the sample: what the page is at
_RUN_WITHIN_S: Final = 600.0
_DRAWN_S: Final = 3.0  # the UI's canvas has no event that tells when it is drawn


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where everything happens")
    parser.add_argument("--pictures", type=Path, default=_PICTURES, help="where they are put")
    parser.add_argument("--minutes", type=float, default=_MINUTES, help="of the recording")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    pictures: Path = arguments.pictures.resolve()
    pictures.mkdir(parents=True, exist_ok=True)
    os.chdir(_PROJECT)
    model = widened("base").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SYNTHETIC, folder / "synthetic.opus")
    shutil.copy(model, folder / "base.pt")
    repeated_sample(folder / f"{_NAME}.flac", 60 * arguments.minutes)
    for name in [n for n in os.environ if n.startswith(("LONGSCRIBE_", "PREFECT_", "XDG_"))]:
        del os.environ[name]
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), DO_NOT_TRACK="1")
    os.environ["LONGSCRIBE_UI_LANGUAGE"] = "en"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT"] = "false"
    with prefect_ui(folder) as ui:
        _form(ui, pictures)
        _transcribe(ui, folder, "synthetic.opus", "--model", "demo", "--word_timestamps", "True")
        _page(ui.browser, folder / "transcripts" / "synthetic" / "synthetic.html", pictures)
        _run(ui, folder, pictures)


def _transcribe(ui: UI, folder: Path, *arguments: str, **environment: str) -> None:
    """The command in the folder; its log is kept there."""
    with (folder / "pictures.log").open("ab") as log:
        subprocess.run(
            _command(*arguments),
            cwd=folder,
            env={**ui.environment, **environment},
            stdout=log,
            check=True,
        )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "longscribe.flows.command_line", *arguments, "--fresh"]


def _form(ui: UI, pictures: Path) -> None:
    environment = {**ui.environment, **_SERVICE}
    # A worker that asks for work once: queues that nobody asks count as not ready.
    for module in (
        ["longscribe.flows.work_pool"],
        ["prefect", "--no-prompt", "deploy", "--all"],
        ["prefect", "worker", "start", "--pool", WORK_POOL, "--run-once"],
    ):
        subprocess.run(
            [sys.executable, "-m", *module],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    [deployment] = [one for one in ui.find("deployments") if one["name"] == "transcribe"]
    page = ui.open(f"/v2/deployments/deployment/{deployment['id']}/run", "recording", "model")
    page.locator("textarea").first.fill(_FORM_RECORDING)
    _take(page, pictures / "ui-form.png")


def _page(browser: Browser, file: Path, pictures: Path) -> None:
    looks: tuple[tuple[str, Literal["light", "dark"], ViewportSize], ...] = (
        ("page-desktop.png", "light", _WIDE),
        ("page-dark.png", "dark", _WIDE),
        ("page-phone.png", "light", _PHONE),
    )
    for name, scheme, viewport in looks:
        phone = viewport == _PHONE
        context = browser.new_context(
            viewport=viewport,
            color_scheme=scheme,
            device_scale_factor=2 if phone else 1,
        )
        page = context.new_page()
        page.goto(f"{file.as_uri()}#t={_AT_S}")
        _until(page, "audio.readyState > 0 && !audio.seeking")
        page.evaluate("scrollTo(0, 0)")
        if name == "page-desktop.png":
            page.fill("#query", "kitchen")
            _until(page, "document.getElementById('found').textContent.endsWith('found')")
            page.keyboard.press("Enter")
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(1000)
        _take(page, pictures / name)
        context.close()


def _run(ui: UI, folder: Path, pictures: Path) -> None:
    """The terminal and the UI while the long recording is under way; its chunks at the end."""
    picture = folder / "terminal.svg"
    picture.unlink(missing_ok=True)
    logging = folder / "logging.yml"
    plain = (_PROJECT / "flows" / "logging.yml").read_text(encoding="utf-8")
    logging.write_text(
        plain.replace("longscribe.flows.console.Console", "docs.photographer.Photographer")
    )
    arguments = (f"{_NAME}.flac", "--model", "base.pt")
    environment = {
        **ui.environment,
        "PREFECT_LOGGING_SETTINGS_PATH": str(logging),
        PICTURE_VARIABLE: str(picture),
        TITLE_VARIABLE: f"longscribe '{arguments[0]}' --model base.pt",
    }
    command = subprocess.Popen(_command(*arguments), cwd=folder, env=environment)
    try:
        wait_for(picture.exists, "the terminal", _RUN_WITHIN_S)
        runs = ui.find("flow_runs", sort="START_TIME_DESC")
        run = next(one for one in runs if one["name"] == _NAME)
        page = ui.open(f"/v2/runs/flow-run/{run['id']}", _NAME, "Running")
        page.wait_for_selector("canvas")
        page.wait_for_timeout(1000 * _DRAWN_S)
        _take(page, pictures / "ui-run.png", below="canvas")
        _artifact(ui, run, "progress", 300, pictures / "ui-progress.png", " left", "memory")
        chunks = [c for c in ui.find("task_runs") if c["flow_run_id"] == run["id"]]
        done = next(
            c for c in chunks if c["name"].startswith("chunk 03") and c["state_type"] == "COMPLETED"
        )
        chunk = ui.open(f"/v2/runs/task-run/{done['id']}", "Chunk 3 of", " done", "Completed")
        _take(chunk, pictures / "ui-chunk.png")
        command.wait()
    finally:
        command.kill()
        command.wait()
    if command.returncode:
        sys.exit(f"longscribe ended with {command.returncode}")
    finished = ui.open(f"/v2/runs/flow-run/{run['id']}", _NAME, "Completed")
    finished.wait_for_selector("canvas")
    finished.wait_for_timeout(1000 * _DRAWN_S)
    _take(finished, pictures / "ui-finished.png", below="canvas")
    _artifact(ui, run, "chunks", 900, pictures / "ui-artifacts.png", "1 of", "worker")
    _terminal(ui.browser, picture, pictures / "terminal.png")


def _artifact(ui: UI, run: Any, kind: str, height: int, to: Path, *wanted: str) -> None:
    """An artifact of a run, in a window that has room for all columns of its table."""
    [found] = [
        one for one in ui.find("artifacts")
        if one["key"].startswith(f"{kind}-") and one["flow_run_id"] == run["id"]
    ]  # fmt: skip
    page = ui.open(f"/v2/artifacts/artifact/{found['id']}", *wanted)
    page.set_viewport_size({"width": _ROOMY, "height": height})
    page.wait_for_timeout(1000)
    _take(page, to)


def _terminal(browser: Browser, picture: Path, to: Path) -> None:
    # The font that rich names would come from the network.
    svg = re.sub(r"@font-face\s*{[^}]*}", "", picture.read_text(encoding="utf-8"))
    page = browser.new_page(device_scale_factor=1)
    page.set_content(
        f"<style>body {{ margin: 0 }} svg {{ display: block; width: 1180px }}</style>{svg}"
    )
    page.locator("svg").first.screenshot(path=to)
    page.close()
    print(to, flush=True)


def _take(page: Page, to: Path, below: str = "") -> None:
    """The window as a picture, down to an element's end if one is named."""
    clip: Any = None
    if below and (box := page.locator(below).first.bounding_box()):
        clip = {"x": 0, "y": 0, "width": _WIDE["width"], "height": box["y"] + box["height"] + 8}
    page.screenshot(path=to, clip=clip)
    print(to, flush=True)


def _until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; Playwright's own way the page's policy forbids."""
    end_s = time.monotonic() + 30.0
    while not page.evaluate(condition):
        if time.monotonic() > end_s:
            sys.exit(f"waited in vain for {condition}")
        page.wait_for_timeout(50)


if __name__ == "__main__":
    main()
