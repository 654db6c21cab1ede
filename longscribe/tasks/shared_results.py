"""Chunks that other machines finished: from the shared store into this one's cache folder."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from longscribe.cache.atomic_file import replace_file
from longscribe.cache.cut_plan import Plan
from longscribe.cache.results import is_kept, result_name, result_path
from longscribe.errors import StoreError
from longscribe.storage.shared_store import SharedStore

_AT_ONCE: Final = 16  # a bucket answers each in some 50 ms, whatever their number


def shared_name(key: str) -> str:
    """The name of a chunk's result in the store."""
    return f"results/{result_name(key)}"


class SharedResults:
    """What a run takes from the shared store and leaves there; of no effect where there is none.

    A store that fails is asked no more in this run, which goes on with its own machine's cache.

    Attributes:
        failure: why the store is not asked any more.

    Raises:
        OptionError: LONGSCRIBE_STORE names what cannot be used.
    """

    def __init__(self) -> None:
        self._store = SharedStore.from_environment()
        self.failure = ""

    def bring_plan(self, path: Path) -> None:
        """Bring a recording's cuts, where this machine has none.

        Args:
            path: where `cut_plan` looks for them.
        """
        if not path.exists():
            self._bring(f"plans/{path.name}", path, 0.0)

    def leave_plan(self, path: Path, plan: Plan) -> None:
        """Have other machines find a recording's cuts.

        Args:
            path: where `cut_plan` keeps them.
            plan: the cuts.
        """
        if self._store is None or self.failure:
            return
        try:
            self._store.put(f"plans/{path.name}", plan.model_dump_json().encode())
        except StoreError as error:
            self.failure = str(error)

    def bring(self, keys: Iterable[str], not_before_s: float = 0.0) -> int:
        """Bring the results of chunks that this machine does not have; how many there were.

        Args:
            keys: of the chunks.
            not_before_s: results kept before do not count, in seconds since 1970.
        """
        wanted = [key for key in dict.fromkeys(keys) if not is_kept(key, not_before_s)]
        if self._store is None or self.failure or not wanted:
            return 0

        def bring(key: str) -> bool:
            return self._bring(shared_name(key), result_path(key), not_before_s)

        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
            return sum(pool.map(bring, wanted))

    def lacks(self, key: str) -> bool:
        """Whether the store answers and has no result of a chunk: it could not be left there."""
        if self._store is None or self.failure:
            return False
        try:
            return not self._store.has(shared_name(key))
        except StoreError as error:
            self.failure = str(error)
            return True

    def _bring(self, name: str, path: Path, not_before_s: float) -> bool:
        if self._store is None or self.failure:
            return False
        try:
            found = self._store.get(name, not_before_s)
            if found is None:
                return False
            content = found if name.startswith("plans/") else _at_its_place(found, path)
        except StoreError as error:
            self.failure = str(error)
            return False
        except ValueError:
            self._store.remove(name)  # it is done again, here or by whoever is next
            return False
        with suppress(OSError):  # a full disk: it is done again
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
            return True
        return False


def _at_its_place(content: bytes, path: Path) -> bytes:
    """A result as Prefect would have written it at this machine's path.

    It notes the whole path, of the machine that wrote it (prefect/results.py,
    `ResultStore.create_result_record`), and reads a Cached task's result from there.

    Raises:
        ValueError: it is no result of Prefect's.
    """
    record = json.loads(content)
    try:
        record["metadata"]["storage_key"] = str(path.expanduser().resolve())
    except (KeyError, TypeError):
        raise ValueError(f"no result of a task: {path}") from None
    return json.dumps(record).encode()
