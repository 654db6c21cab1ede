"""The sizes of what both networks hear and say."""

from typing import Final

import numpy as np
import numpy.typing as npt

WINDOW_SAMPLES: Final = 160_000
FRAME_SAMPLES: Final = 270  # from one frame to the next
WINDOW_FRAMES: Final = 589
# The middle of a frame's receptive field of 991 samples.
FRAME_CENTRE_SAMPLES: Final = 495
LOCAL_VOICES: Final = 3  # that are told apart in a window

STEP_FRAMES: Final = 296  # from one window to the next: half a window
STEP_SAMPLES: Final = STEP_FRAMES * FRAME_SAMPLES

EMBEDDING_SIZE: Final = 192
FEATURES: Final = 80  # of every 10 ms

Activity = npt.NDArray[np.bool_]  # who of the local voices is heard in each frame
Embeddings = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]
