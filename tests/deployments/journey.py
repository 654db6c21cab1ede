"""Ways through the library: with a mouse, by the keyboard alone, by touch on a phone."""

import json
from pathlib import Path
from typing import Any, ClassVar, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Download, Locator, Page

from tests.longscribe.browser import until

PHONE: Final = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Mouse:
    """Clicks, and types into what has the focus."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, what: Locator) -> None:
        """A link, a button, a name that can be changed."""
        what.click()

    def go(self, link: Locator) -> None:
        """Press what leads to another page."""
        with self.page.expect_navigation():
            self.press(link)

    def write(self, field: Locator, text: str) -> None:
        field.fill(text)

    def choose(self, choice: Locator, value: str) -> None:
        """One of a list's values."""
        choice.select_option(value)

    def bring(self, files: list[Path]) -> None:
        self.page.locator("#files").set_input_files(files)

    def correct(self, sentence: Locator, text: str) -> None:
        """A sentence of the transcript page."""
        self.press(self.page.locator("#edit"))
        self.press(sentence)
        self._replace(text)
        self.press(self.page.locator("#edit"))

    def rename(self, speaker: Locator, name: str) -> None:
        """Somebody on the transcript page."""
        self.press(speaker)
        self._replace(name)
        self.page.keyboard.press("Enter")

    def play(self) -> None:
        self.press(self.page.locator("#play"))
        until(self.page, "!audio.paused && audio.currentTime > 0")
        self.press(self.page.locator("#play"))

    def download(self, link: Locator) -> Download:
        with self.page.expect_download() as download:
            self.press(link)
        return download.value

    def look(self) -> None:
        """Whether the page is one for everybody, and of a width that fits."""
        found = Axe().run(self.page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not serious, json.dumps([(one["id"], one["nodes"][0]["html"]) for one in serious])
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], width

    def _replace(self, text: str) -> None:
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)


class Touch(Mouse):
    """Taps, on a screen as wide as a phone's."""

    options = PHONE

    def press(self, what: Locator) -> None:
        what.tap()


class Keyboard(Mouse):
    """Never a mouse: the Tab key goes to what is wanted, Enter does it."""

    def press(self, what: Locator) -> None:
        self._reach(what)
        self.page.keyboard.press("Enter")

    def write(self, field: Locator, text: str) -> None:
        self._reach(field)
        self._replace(text)

    def choose(self, choice: Locator, value: str) -> None:
        self._reach(choice)
        self.page.keyboard.press("Home")
        for _ in range(20):
            if choice.input_value() == value:
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"no {value!r} to choose")

    def bring(self, files: list[Path]) -> None:
        self._reach(self.page.locator("#files"))
        with self.page.expect_file_chooser() as chooser:
            self.page.keyboard.press(" ")
        chooser.value.set_files(files)

    def correct(self, sentence: Locator, text: str) -> None:
        self.page.keyboard.press("j")
        self.page.keyboard.press("e")
        self.page.keyboard.press("Enter")
        self._replace(text)
        self.page.keyboard.press("Escape")

    def play(self) -> None:
        self.page.keyboard.press(" ")
        until(self.page, "!audio.paused && audio.currentTime > 0")
        self.page.keyboard.press(" ")

    def _reach(self, what: Locator) -> None:
        for _ in range(200):
            if what.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never comes to {what}")
