"""The page for a reader of Portuguese, in Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from longscribe.wording.catalog import UI_LANGUAGE_VARIABLE
from tests.longscribe.browser import SAID, needs_chromium, open_page, until, write_page

pytestmark = [needs_chromium, pytest.mark.timeout(120)]


def test_tools_messages_and_saved_gaps_are_in_portuguese(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(UI_LANGUAGE_VARIABLE, "pt_BR")
    page = open_page(browser, write_page(SAID, tmp_path / "page"))
    assert page.evaluate("document.documentElement.lang") == SAID.language
    assert page.get_attribute(".dock", "lang") == "pt-BR"
    assert page.get_attribute("#query", "placeholder") == "Buscar"
    assert page.text_content("#follow") == "Seguir"
    assert "Sem texto aqui: o chunk falhou." in (page.text_content("#transcript") or "")
    page.fill("#query", SAID.segments[0].text.split()[0])
    until(page, "document.getElementById('found').textContent.startsWith('encontrados: ')")
    page.click("#save")
    with page.expect_download() as download:
        page.click("[data-save=txt]")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.read_text(encoding="utf-8").splitlines()[-1] == "[lacuna: o chunk falhou]"
