"""The notebook's cells run, one after the other."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.longscribe.models.real_weights import needs_base

PROJECT = Path(__file__).resolve().parents[2]


@needs_base
def test_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = json.loads((PROJECT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    os.symlink(PROJECT / "demo", tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            shown.append(run("".join(cell["source"]), names))
    assert "<table>" in shown[1]._repr_html_()
    assert shown[3].duration_seconds > 0.1
    assert {path.suffix for path in shown[5]} == {".txt", ".srt", ".json"}
    assert capsys.readouterr().out.count(" en ") > 20


def run(source: str, names: dict[str, Any]) -> Any:
    """A cell's statements; the value of the last one where it is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
