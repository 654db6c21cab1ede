"""What is to be done in a day, and with what: the load that a plan is for."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longscribe.options.checking import refusal
from longscribe.wording.catalog import translatable

Rows = Literal["chunk", "recording"]

NO_GPU: Final = "none"


class Load(BaseModel):
    """What is to be done, and with what.

    Attributes:
        hours_per_day: of recording.
        model: one of `longscribe.capacity.plan.MODELS`.
        processor: a class of processors, as in `measured.json`.
        gpu: one in each machine, as in `measured.json`, that decodes; none by default.
        recording_minutes: length of a recording.
        chunk_minutes: length of a chunk.
        cores_per_machine: of a worker's machine.
        hours_of_work: of a day, in which all must be done.
        spare_percent: of the cores, for peaks, repairs and uneven lengths.
        keep_days: for which the server keeps runs.
        rows: of the server, for each chunk or for each recording.
        core_hour_price: in whatever money; None where it is not known.
        gpu_hour_price: of a GPU, beside that of its machine's cores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours_per_day: float = Field(
        ge=0.001, le=1e6, description=translatable("Of recording, up to 1000000.")
    )
    model: str = Field(default="turbo", description=translatable("Its size decides."))
    processor: str = Field(
        default="avx512-vnni",
        description=translatable("avx2, avx-vnni, avx512, avx512-vnni or amx."),
    )
    gpu: str = Field(default=NO_GPU, description=translatable("In each machine: none or h200."))
    recording_minutes: float = Field(
        default=60.0, ge=0.05, le=6000, description=translatable("Length of a recording.")
    )
    chunk_minutes: float = Field(
        default=10.0, ge=0.5, le=60, description=translatable("Length of a chunk.")
    )
    cores_per_machine: int = Field(
        default=16, ge=1, le=1024, description=translatable("Of a worker's machine.")
    )
    hours_of_work: float = Field(
        default=24.0,
        ge=0.1,
        le=24,
        description=translatable("Of a day, in which all is to be done."),
    )
    spare_percent: float = Field(
        default=30.0, ge=0, le=90, description=translatable("Of the cores, for peaks and repairs.")
    )
    keep_days: float = Field(
        default=30.0, ge=0, le=36_500, description=translatable("For which the server keeps runs.")
    )
    rows: Rows = Field(default="chunk", description=translatable("Of the server: LONGSCRIBE_ROWS."))
    core_hour_price: float | None = Field(
        default=None, ge=0, le=1e6, description=translatable("In your own money.")
    )
    gpu_hour_price: float = Field(
        default=0.0, ge=0, le=1e6, description=translatable("Of a GPU, beside its machine's cores.")
    )


def check_load(**values: Any) -> Load:
    """Build a `Load`, or raise one sentence that names the first bad value.

    Raises:
        OptionError: a value is out of range or not of its kind, or there is none of that name.
    """
    try:
        return Load(**values)
    except ValidationError as error:
        raise refusal(error) from None
