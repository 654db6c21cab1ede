"""The commands of docs/api.md's section "Runs over HTTP", to be executed."""

import re
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
_SECTION = _PAGE.read_text(encoding="utf-8").partition("## Runs over HTTP\n")[2]
_SECTION = _SECTION.partition("\n## ")[0]

START, CANCEL = re.findall(r"```sh\n(.*?)```", _SECTION, re.DOTALL)
(PYTHON,) = re.findall(r"```python\n(.*?)```", _SECTION, re.DOTALL)
