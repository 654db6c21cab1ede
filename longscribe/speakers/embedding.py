"""CAM++: what a voice sounds like, as 192 numbers; alike voices point the same way.

The network is 3D-Speaker's (speakerlab/models/campplus, Apache-2.0), trained on 200,000 speakers of
Chinese and English.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from longscribe.errors import ModelError
from longscribe.speakers.windows import FEATURES, Embeddings, Features
from longscribe.wording.catalog import translated

_BLOCKS: Final = ((12, 1), (24, 2), (16, 2))  # layers, dilation
_POOLED_FRAMES: Final = 100
_EPSILON: Final = 1e-5


class EmbeddingNetwork:
    """The network, on the CPU.

    Args:
        path: of the checkpoint.

    Raises:
        ModelError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self._w = _folded(state)
        except Exception as error:  # whatever torch and pickle make of it
            damaged = translated("{path} is no checkpoint of CAM++: {reason}.")
            raise ModelError(damaged.format(path=path, reason=error)) from None

    @torch.inference_mode()
    def embeddings(self, features: Features) -> Embeddings:
        """Voices, of length 1.

        Args:
            features: log mel energies without their mean, shape (n, frames, 80).

        Returns:
            shape (n, 192).
        """
        x = torch.from_numpy(features).transpose(1, 2)[:, None]
        x = self._head(x).flatten(1, 2)
        x = F.relu_(self._conv1d(x, "xvector.tdnn.linear", stride=2, padding=2))
        for number, (layers, dilation) in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                x = torch.cat(
                    (x, self._dense(x, f"xvector.block{number}.tdnnd{layer}", dilation)), 1
                )
            x = self._normed(x, f"xvector.transit{number}.nonlinear.batchnorm")
            x = self._conv1d(x, f"xvector.transit{number}.linear")
        x = self._normed(x, "xvector.out_nonlinear.batchnorm")
        x = torch.cat((x.mean(-1), x.std(-1)), 1)[..., None]
        return F.normalize(self._conv1d(x, "xvector.dense.linear")[..., 0].float()).numpy()

    def _head(self, x: Tensor) -> Tensor:
        x = F.relu_(self._conv2d(x, "head.conv1", (1, 1)))
        for name, stride in (("1.0", 2), ("1.1", 1), ("2.0", 2), ("2.1", 1)):
            block = f"head.layer{name}"
            y = F.relu_(self._conv2d(x, f"{block}.conv1", (stride, 1)))
            y = self._conv2d(y, f"{block}.conv2", (1, 1))
            if stride > 1:
                x = self._conv2d(x, f"{block}.shortcut.0", (stride, 1), padding=0)
            x = F.relu_(y + x)
        return F.relu_(self._conv2d(x, "head.conv2", (2, 1)))

    def _dense(self, x: Tensor, name: str, dilation: int) -> Tensor:
        """A layer of a block: what it sees around a frame, weighed by what it sees in a second."""
        x = self._normed(x, f"{name}.nonlinear1.batchnorm")
        x = F.relu_(self._conv1d(x, f"{name}.linear1"))
        y = self._conv1d(x, f"{name}.cam_layer.linear_local", padding=dilation, dilation=dilation)
        seconds = F.avg_pool1d(x, _POOLED_FRAMES, _POOLED_FRAMES, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + seconds
        context = F.relu_(self._conv1d(context, f"{name}.cam_layer.linear1"))
        weights = torch.sigmoid(self._conv1d(context, f"{name}.cam_layer.linear2"))
        return y * weights.repeat_interleave(_POOLED_FRAMES, -1)[..., : y.shape[-1]]

    def _normed(self, x: Tensor, name: str) -> Tensor:
        scale, shift = self._w[f"{name}.scale"], self._w[f"{name}.shift"]
        return F.relu_(torch.addcmul(shift, x, scale))

    def _conv1d(
        self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Tensor:
        weight, bias = self._w[f"{name}.weight"], self._w.get(f"{name}.bias")
        return F.conv1d(x, weight, bias, stride, padding, dilation)

    def _conv2d(self, x: Tensor, name: str, stride: tuple[int, int], padding: int = 1) -> Tensor:
        return F.conv2d(x, self._w[f"{name}.weight"], self._w[f"{name}.bias"], stride, padding)


def _folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with the batch norms that follow a convolution in that one's own."""
    folded = {k: v for k, v in state.items() if "num_batches" not in k and "running" not in k}
    for name in [k.removesuffix(".running_mean") for k in state if k.endswith(".running_mean")]:
        scale = (state[f"{name}.running_var"] + _EPSILON).rsqrt()
        if f"{name}.weight" in state:
            scale = scale * folded.pop(f"{name}.weight")
        shift = folded.pop(f"{name}.bias", torch.zeros_like(scale))
        shift = shift - state[f"{name}.running_mean"] * scale
        conv = _before(name)
        if conv is None:
            folded[f"{name}.scale"], folded[f"{name}.shift"] = scale[:, None], shift[:, None]
            continue
        weight = folded[f"{conv}.weight"]
        folded[f"{conv}.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        folded[f"{conv}.bias"] = shift
    return folded


def _before(name: str) -> str | None:
    """The convolution whose output goes through a batch norm; None where there is none."""
    if name.startswith("head."):
        if name.endswith("shortcut.1"):
            return name.removesuffix("1") + "0"
        return name.replace(".bn", ".conv")
    if name.endswith(("tdnn.nonlinear.batchnorm", "dense.nonlinear.batchnorm")):
        return name.replace(".nonlinear.batchnorm", ".linear")
    if name.endswith(".nonlinear2.batchnorm"):
        return name.replace(".nonlinear2.batchnorm", ".linear1")
    return None


def of_length(features: Sequence[Features], frames: int) -> Features:
    """The frames of each one after the other, from its beginning again where there are too few.

    Returns:
        shape (n, frames, 80), the mean of each taken away.
    """
    result = np.empty((len(features), frames, FEATURES), np.float32)
    for row, one in zip(result, features, strict=True):
        row[:] = np.resize(one, (frames, FEATURES))
        row -= row.mean(0)
    return result
