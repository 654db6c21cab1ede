"""What the README and docs say is so: links, options, examples."""

import re
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    """As GitHub and MkDocs name the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, flags=re.M)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        place = (page.parent / target) if target else page
        assert place.exists(), target
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{target}#{anchor}"


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md"])
def test_a_readme_is_read_in_a_minute(name: str) -> None:
    assert (PROJECT / name).stat().st_size <= 8_000


def test_the_example_in_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition("## Python\n")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "demo").symlink_to(PROJECT / "demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    assert len(names["transcript"].text.split()) > 100
    assert {path.suffix for path in (tmp_path / "transcripts" / "synthetic").iterdir()} == {
        *(".txt", ".srt", ".json")
    }
    assert len(capsys.readouterr().out.splitlines()) > 20
