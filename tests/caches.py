"""Cache folders of a test's own."""

import os
from pathlib import Path


def own_cache(folder: Path) -> Path:
    """One without results, with the converted weights that all tests share."""
    folder.mkdir(exist_ok=True)
    for name in ("weights", "kernels"):
        shared = Path(os.environ["LONGSCRIBE_CACHE"], name)
        shared.mkdir(exist_ok=True)
        (folder / name).symlink_to(shared)
    return folder
