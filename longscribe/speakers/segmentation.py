"""pyannote's segmentation-3.0: who of at most three people speaks in each frame of ten seconds.

The network is pyannote.audio's PyanNet (pyannote/audio/models/segmentation/PyanNet.py and
models/blocks/sincnet.py, MIT, Copyright CNRS), with its band-pass filters computed once
(asteroid_filterbanks/param_sinc_fb.py, MIT).
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import LSTM
from torch.nn import functional as F

from longscribe.errors import ModelError
from longscribe.speakers.windows import LOCAL_VOICES, Activity
from longscribe.wording.catalog import translated

_STRIDE: Final = 10
_SHORTEST_HZ: Final = 50.0
_RATE_HZ: Final = 16_000
_HIDDEN: Final = 128
# What is added to their log probabilities, by how many speak: the network misses those who are far
# away and those who speak at once. Even with every voice given to the right person it leaves 22.0 %
# errors on AMI (0.25 s around changes left out), and 19.4 with this; on six generated conversations
# 3.3 and 2.7 (2026-11-30).
_FAVOUR: Final = (0.0, 1.0, 3.0)
# The classes: nobody, each alone, each two of the three together.
_POWERSET: Final = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))


class SegmentationNetwork:
    """The network, in float32 on the CPU.

    Args:
        path: of the checkpoint.

    Raises:
        ModelError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            state: dict[str, Tensor] = content["state_dict"]
            self._filters = _band_pass(state)
            self._lstm = LSTM(60, _HIDDEN, num_layers=4, bidirectional=True, batch_first=True)
            self._lstm.load_state_dict(
                {k.removeprefix("lstm."): v for k, v in state.items() if k.startswith("lstm.")}
            )
        except Exception as error:  # whatever torch and pickle make of it
            damaged = translated("{path} is no checkpoint of segmentation-3.0: {reason}.")
            raise ModelError(damaged.format(path=path, reason=error)) from None
        self._lstm.eval()
        self._state = state
        self._bias = state["classifier.bias"] + torch.tensor([_FAVOUR[len(v)] for v in _POWERSET])
        # Which voices each class stands for, shape (7, 3).
        self._voices = np.array([[v in them for v in range(LOCAL_VOICES)] for them in _POWERSET])

    @torch.inference_mode()
    def activity(self, windows: npt.NDArray[np.float32]) -> Activity:
        """Who speaks when.

        Args:
            windows: samples at 16 kHz, shape (n, 160000).

        Returns:
            shape (n, 589, 3): which of the window's own three voices are heard in each frame.
        """
        s = self._state
        x = torch.from_numpy(windows)[:, None]
        x = _instance_norm(x, s, "wav_norm1d")
        x = F.conv1d(x, self._filters, stride=_STRIDE).abs_()
        x = self._pooled(x, 0)
        for layer in (1, 2):
            name = f"sincnet.conv1d.{layer}"
            x = self._pooled(F.conv1d(x, s[f"{name}.weight"], s[f"{name}.bias"]), layer)
        x, _ = self._lstm(x.transpose(1, 2).contiguous())
        for layer in (0, 1):
            name = f"linear.{layer}"
            x = F.leaky_relu_(F.linear(x, s[f"{name}.weight"], s[f"{name}.bias"]))
        classes = (F.linear(x, s["classifier.weight"], self._bias)).argmax(-1)
        return np.asarray(self._voices[classes.numpy()])

    def _pooled(self, x: Tensor, layer: int) -> Tensor:
        x = _instance_norm(F.max_pool1d(x, 3, 3), self._state, f"norm1d.{layer}")
        return F.leaky_relu_(x)


def _instance_norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    weight, bias = state[f"sincnet.{name}.weight"], state[f"sincnet.{name}.bias"]
    return F.instance_norm(x, weight=weight, bias=bias)


def _band_pass(state: dict[str, Tensor]) -> Tensor:
    """The 80 filters of the first layer, shape (80, 1, 251)."""
    name = "sincnet.conv1d.0.filterbank."
    low = _SHORTEST_HZ + state[f"{name}low_hz_"].abs()
    high = low + _SHORTEST_HZ + state[f"{name}band_hz_"].abs()
    high = high.clamp(_SHORTEST_HZ, _RATE_HZ / 2)
    n, window = state[f"{name}n_"], state[f"{name}window_"]
    band = high - low
    at_low, at_high = low @ n, high @ n
    even = (at_high.sin() - at_low.sin()) / (n / 2) * window
    odd = (at_low.cos() - at_high.cos()) / (n / 2) * window
    filters = torch.cat(
        (
            torch.cat((even, 2 * band, even.flip(1)), 1),
            torch.cat((odd, torch.zeros_like(band), -odd.flip(1)), 1),
        )
    )
    return (filters / (2 * band).repeat(2, 1))[:, None].contiguous()
