"""Everything Longscribe raises on purpose.

LongscribeError
├── InputError             the caller can mend it; one sentence; exit code 2
│   ├── OptionError        an option or parameter out of its range
│   ├── RecordingError     the recording is missing, unreadable or has no sound
│   ├── ModelError         unknown model, broken checkpoint, failed download
│   ├── OutputError        the transcript cannot be written where it should go
│   ├── ResourceError      this machine has too little memory or disk for the run
│   ├── ServerError        the configured Prefect server does not answer
│   └── ClusterError       the Dask cluster does not answer, or its workers cannot be used
├── StoreError             the shared store cannot be used now; runs go on without it
└── TranscriptionError     chunks failed although the input was good; exit code 1
"""


class LongscribeError(Exception):
    """Base of all errors that Longscribe raises itself."""


class InputError(LongscribeError):
    """Something the caller gave cannot be used; the message names it and says what to do."""


class OptionError(InputError):
    """An option or flow parameter is out of its range."""


class RecordingError(InputError):
    """The recording is missing, unreadable, or holds no sound."""


class ModelError(InputError):
    """The model is unknown, its checkpoint is broken, or its download failed."""


class OutputError(InputError):
    """The outputs or the scratch files cannot be written."""


class ResourceError(InputError):
    """The machine has too little memory or disk for the run."""


class ServerError(InputError):
    """The Prefect server that is configured does not answer."""


class ClusterError(InputError):
    """The Dask cluster does not answer, or none of its workers can be used."""


class StoreError(LongscribeError):
    """What several machines share could not be read or written."""


class TranscriptionError(LongscribeError):
    """Chunks of a good recording could not be transcribed."""
