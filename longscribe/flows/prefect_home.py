"""Prefect's own folder, where a command's embedded server keeps its database.

Told without importing Prefect, which takes a second and warns where the folder cannot be made.
"""

import os
from contextlib import suppress
from pathlib import Path

from longscribe.errors import OutputError
from longscribe.wording.catalog import translated
from longscribe.wording.system_errors import told

# Where a server's address can be set (https://docs.prefect.io/v3/concepts/settings-and-profiles):
# the environment, files of the current folder, and the profiles.
_NAME_A_SERVER = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
_MAY_NAME_A_SERVER = (".env", "prefect.toml")

_PROBE_BYTES = 4096  # a full disk takes an empty file


def prefect_home() -> Path:
    """As Prefect's settings have it (https://docs.prefect.io/v3/api-ref/settings-ref#home)."""
    return Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser()


def check_prefect_home() -> None:
    """Try to write there, before a server would fail for it; not where a server may be named.

    Raises:
        OutputError: it cannot be made or written.
    """
    home = prefect_home()
    files = (home / "profiles.toml", *map(Path, _MAY_NAME_A_SERVER))
    if any(name in os.environ for name in _NAME_A_SERVER) or any(file.is_file() for file in files):
        return
    probe = home / f".longscribe-{os.getpid()}.tmp"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        raise OutputError(
            translated(
                "Prefect's folder {home} cannot be written: {reason}; "
                "set PREFECT_HOME to a folder that can, or PREFECT_API_URL to a server."
            ).format(home=home, reason=told(error))
        ) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
