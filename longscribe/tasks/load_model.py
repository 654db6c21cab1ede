"""Stage 1: the model's weights, fetched and checked; workers get a small description of them."""

import time

from prefect.logging import get_run_logger

from longscribe.errors import StoreError
from longscribe.models.weights import ModelSpec, resolve_model
from longscribe.tasks.shared_weights import bring_weights, leave_weights
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated

_DOWNLOAD_REPORT_EVERY_S = 5.0


@stage("load_model", run_name="load_model {model}")
def load_model(model: str, model_dir: str) -> ModelSpec:
    """Find or download the weights and check them.

    Raises:
        ModelError: unknown, damaged, or not to be had.
        OptionError: LONGSCRIBE_STORE names what cannot be used.
    """
    logger = get_run_logger()
    logger.info(translated("Loading model %s"), model)
    reported_s = time.monotonic()

    def on_progress(done_bytes: int, total_bytes: int) -> None:
        nonlocal reported_s
        if time.monotonic() - reported_s >= _DOWNLOAD_REPORT_EVERY_S or done_bytes == total_bytes:
            reported_s = time.monotonic()
            share = f" ({100 * done_bytes / total_bytes:.0f} %)" if total_bytes else ""
            logger.info(translated("Downloading %s: %.0f MB%s"), model, done_bytes / 1e6, share)

    if bring_weights(model, model_dir):
        logger.info(translated("Weights of %s came from the shared store"), model)
    spec = resolve_model(model, model_dir, on_progress)
    try:
        leave_weights(model, model_dir)
    except StoreError as error:
        logger.warning("%s", error)
    logger.info(
        translated("Model %s loaded: %.0f M weights, sha256 %s, from"),
        model,
        spec.dims.parameters / 1e6,
        spec.sha256[:12],
    )
    logger.info("%s", spec.path)  # a line of its own: it may be long
    return spec
