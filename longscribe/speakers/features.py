"""Log mel energies as CAM++ wants them: Kaldi's, 80 of every 10 ms."""

from typing import Final

import numpy as np
import numpy.typing as npt

from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.speakers.windows import FEATURES, Features

HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 400


def log_mel(samples: npt.NDArray[np.float32]) -> Features:
    """Of samples in [-1, 1) at 16 kHz; shape (frames, 80), frame n begins at sample 160 n."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE_HZ
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = FEATURES
    extractor = knf.OnlineFbank(options)
    extractor.accept_waveform(SAMPLE_RATE_HZ, samples)
    extractor.input_finished()
    frames = [extractor.get_frame(n) for n in range(extractor.num_frames_ready)]
    return np.asarray(frames, np.float32).reshape(-1, FEATURES)
