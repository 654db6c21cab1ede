"""The texts of chunks as they are finished, in a file beside the transcript that is to come.

For who reads along while a run is under way: a line of JSON a chunk, as they were finished.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from longscribe.transcript import ChunkTranscript

_NAME: Final = ".partial.jsonl"


class PartialTexts:
    """Writes the file, and takes it away in the end.

    Args:
        folder: of the transcript; None writes nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / _NAME if folder is not None else None
        self.remove()

    def add(self, transcript: ChunkTranscript) -> None:
        """A chunk came through. What cannot be written is left out: the run goes on."""
        if self._file is None:
            return
        text = "".join(segment.text for segment in transcript.segments)
        line = json.dumps({"chunk": transcript.index, "text": text}, ensure_ascii=False)
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def remove(self) -> None:
        """The transcript is written, or another attempt begins."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)


def texts_so_far(folder: Path) -> Iterator[str]:
    """The texts of the finished chunks from the first on, up to the first that is not finished."""
    texts: dict[int, str] = {}
    with suppress(OSError):
        for line in (folder / _NAME).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last, of which only a part may be there
                row = json.loads(line)
                texts[row["chunk"]] = row["text"]
    for index in range(len(texts)):
        if index not in texts:
            return
        yield texts[index]
