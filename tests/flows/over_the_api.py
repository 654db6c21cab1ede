"""The commands of the README's section "Over the API", to be executed."""

import re
from pathlib import Path

_README = Path(__file__).resolve().parents[2] / "README.md"
_SECTION = _README.read_text(encoding="utf-8").partition("## Over the API\n")[2]
_SECTION = _SECTION.partition("\n## ")[0]

START, CANCEL = re.findall(r"```sh\n(.*?)```", _SECTION, re.DOTALL)
(PYTHON,) = re.findall(r"```python\n(.*?)```", _SECTION, re.DOTALL)
