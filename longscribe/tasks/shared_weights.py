"""Official weights that another machine fetched: from the shared store, and for the next one.

Their sha256 is known, so a file that is damaged in the store is found out here.
"""

from contextlib import suppress

from longscribe.cache.atomic_file import temporary_path
from longscribe.errors import StoreError
from longscribe.models.checksums import kept_sha256
from longscribe.models.names import OFFICIAL, OfficialFile, official_file
from longscribe.models.weights import find_model
from longscribe.storage.shared_store import SharedStore


def bring_weights(model: str, model_dir: str = "") -> bool:
    """Bring a model's weights to this machine, where they are not and the store has them.

    A store that fails is no error here: the weights are then fetched as without one.

    Args:
        model: its name; others than official ones are left alone.
        model_dir: where official weights are kept.

    Returns:
        whether they came from the store.

    Raises:
        OptionError: LONGSCRIBE_STORE names what cannot be used.
    """
    store = SharedStore.from_environment()
    if store is None or model not in OFFICIAL or find_model(model, model_dir) is not None:
        return False
    wanted = official_file(model, model_dir)
    arriving = temporary_path(wanted.target)
    with suppress(StoreError, OSError):
        try:
            wanted.target.parent.mkdir(parents=True, exist_ok=True)
            if not store.fetch_file(_name(wanted), arriving):
                return False
            if kept_sha256(arriving) != wanted.sha256:
                store.remove(_name(wanted))
                return False
            arriving.replace(wanted.target)
            return True
        finally:
            arriving.unlink(missing_ok=True)
    return False


def leave_weights(model: str, model_dir: str = "") -> None:
    """Leave a model's weights in the store for other machines, where they are official.

    Raises:
        StoreError: they could not be written there.
    """
    store = SharedStore.from_environment()
    if store is None or model not in OFFICIAL:
        return
    wanted = official_file(model, model_dir)
    if wanted.target.is_file() and not store.has(_name(wanted)):
        store.put_file(_name(wanted), wanted.target)


def _name(wanted: OfficialFile) -> str:
    return f"weights/{wanted.sha256}/{wanted.target.name}"
