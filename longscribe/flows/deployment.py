"""What prefect.yaml takes from the environment, with defaults: Prefect's templates have none."""

import importlib.metadata
import os
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def settings() -> dict[str, str]:
    """The build step of prefect.yaml: values for its `{{ settings.x }}`.

    Returns:
        `directory` of the code on the workers' machines (LONGSCRIBE_APP), `inbox`
        (LONGSCRIBE_INBOX) and `transcripts` (LONGSCRIBE_TRANSCRIPTS), folders there or URLs, the
        `model` (LONGSCRIBE_MODEL), `inbox_cron` (LONGSCRIBE_INBOX_CRON) in `time_zone`
        (LONGSCRIBE_TIME_ZONE), and the `version` of Longscribe.
    """
    # A checkout is served from its own folder; where a wheel is installed is no place for files.
    is_checkout = (_CHECKOUT / "pyproject.toml").is_file()
    folder = _CHECKOUT if is_checkout else Path.home() / "longscribe"
    directory = _or_default("LONGSCRIBE_APP", str(folder))
    return {
        "directory": directory,
        "inbox": _or_default("LONGSCRIBE_INBOX", str(Path(directory) / "inbox")),
        "transcripts": _or_default("LONGSCRIBE_TRANSCRIPTS", str(Path(directory) / "transcripts")),
        "model": _or_default("LONGSCRIBE_MODEL", "turbo"),
        "inbox_cron": _or_default("LONGSCRIBE_INBOX_CRON", "*/2 * * * *"),
        "time_zone": _or_default("LONGSCRIBE_TIME_ZONE", "UTC"),
        "version": importlib.metadata.version("longscribe"),
    }


def _or_default(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default  # Compose passes unset variables on empty
