"""What the operating system says when it refuses something, in the reader's language."""

from typing import Final

from longscribe.wording.catalog import translatable, translated

# As Linux says them; what is not among them stays English.
SAID_OFTEN: Final = (
    translatable("Permission denied"),
    translatable("Operation not permitted"),
    translatable("No such file or directory"),
    translatable("Not a directory"),
    translatable("Is a directory"),
    translatable("File exists"),
    translatable("Read-only file system"),
    translatable("No space left on device"),
    translatable("Disk quota exceeded"),
    translatable("File name too long"),
    translatable("Input/output error"),
    translatable("Too many open files"),
    translatable("Stale file handle"),
)


def told(error: OSError) -> str:
    """What went wrong, without a full stop."""
    return translated(error.strerror or "") or str(error)
