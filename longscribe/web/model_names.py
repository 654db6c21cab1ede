"""The names that other programs call models by, and what they are here."""

from typing import Final

from longscribe.web.jobs import MODELS

# OpenAI's own: their clients have one of these written into them.
DEFAULT_NAMES: Final = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
)
DIARIZING: Final = "gpt-4o-transcribe-diarize"
_PREFIXES: Final = (
    "openai/whisper-",
    "Systran/faster-whisper-",
    "deepdml/faster-whisper-",
    "whisper-",
    "faster-whisper-",
)


def model_of(name: str, default: str) -> str:
    """The model that a name stands for; the name itself where nothing is known of it.

    Args:
        name: as a caller says it; empty for the default.
        default: of the application.
    """
    name = name.strip()
    if not name or name in DEFAULT_NAMES or name == default:
        return default
    for prefix in _PREFIXES:
        rest = name.removeprefix(prefix)
        if rest != name and rest in MODELS:
            return rest
    return name


def model_names(default: str) -> list[str]:
    """All names of models, the default's first."""
    return list(dict.fromkeys((default, *DEFAULT_NAMES[:-1], *MODELS)))
