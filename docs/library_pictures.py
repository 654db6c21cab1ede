"""`python -m docs.library_pictures`: takes the pictures of docs/library.md anew, some minutes.

The whole service on this machine, with the model base, over real recordings of benchmarks/speech.
"""

import tempfile
from pathlib import Path
from typing import Final

from tests.deployments.served import Served
from tests.longscribe.browser import chromium

_DOCS: Final = Path(__file__).parent
_SPEECH: Final = _DOCS.parent / "benchmarks" / "speech"
_RECORDINGS: Final = ("lj001_a.opus", "usgov_speeches.opus", "pt_fleurs.opus", "fr_fleurs.opus")
_WITHIN_MS: Final = 600_000


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder), LONGSCRIBE_MODEL="base")
        served.start()
        try:
            _take(served, Path(folder))
        finally:
            served.stop()


def _take(served: Served, folder: Path) -> None:
    name, password = (folder / "web-login").read_text(encoding="utf-8").strip().split(":")
    with chromium() as browser:
        size = {"width": 1100, "height": 860}
        context = browser.new_context(base_url=served.web, viewport=size)
        page = context.new_page()
        page.set_default_timeout(_WITHIN_MS)
        page.goto("/")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        page.get_by_label("Drop recordings here").set_input_files(
            [_SPEECH / recording for recording in _RECORDINGS]
        )
        page.locator(".state-running").first.wait_for()
        page.wait_for_timeout(4000)
        page.screenshot(path=_DOCS / "library.png")
        page.wait_for_function("document.querySelectorAll('.state-done').length == 4")
        page.goto("/?q=government")
        while not page.locator("mark").count():
            page.wait_for_timeout(1000)
            page.reload()
        page.screenshot(path=_DOCS / "library-search.png")
        phone = browser.new_context(
            base_url=served.web,
            storage_state=context.storage_state(),
            viewport={"width": 390, "height": 844},
            color_scheme="dark",
            is_mobile=True,
            has_touch=True,
        ).new_page()
        phone.goto("/")
        phone.locator("#recordings a").first.click()
        phone.get_by_role("heading", name="Download").wait_for()
        phone.screenshot(path=_DOCS / "library-phone.png")


if __name__ == "__main__":
    main()
