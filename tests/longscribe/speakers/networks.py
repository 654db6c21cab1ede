"""Both networks with made weights, to run what hears voices without fetching any.

The segmentation network hears its first voice everywhere, and the embedding network the same person
in everything: what comes before and after them is real.
"""

from pathlib import Path

import torch
from torch import Tensor

from longscribe.speakers.weights import SpeakerWeights

_HEARS_THE_FIRST = 1  # of the seven classes


def write_networks(folder: Path) -> SpeakerWeights:
    """Write both checkpoints into a folder."""
    segmentation, embedding = folder / "segmentation.pt", folder / "embedding.pt"
    torch.save({"state_dict": _segmentation()}, segmentation)
    torch.save(_embedding(), embedding)
    return SpeakerWeights(segmentation, embedding, ("made segmentation", "made embedding"))


def _segmentation() -> dict[str, Tensor]:
    lstm = torch.nn.LSTM(60, 128, num_layers=4, bidirectional=True)
    found = {f"lstm.{name}": torch.zeros_like(one) for name, one in lstm.state_dict().items()}
    filters = "sincnet.conv1d.0.filterbank."
    found |= {
        f"{filters}low_hz_": torch.linspace(0.0, 7000.0, 40)[:, None],
        f"{filters}band_hz_": torch.full((40, 1), 100.0),
        f"{filters}window_": torch.ones(125),
        f"{filters}n_": torch.linspace(-0.05, -0.0004, 125)[None],
    }
    for name, size in (("wav_norm1d", 1), ("norm1d.0", 80), ("norm1d.1", 60), ("norm1d.2", 60)):
        found |= {f"sincnet.{name}.{part}": torch.ones(size) for part in ("weight", "bias")}
    for name, shape in {
        "sincnet.conv1d.1": (60, 80, 5),
        "sincnet.conv1d.2": (60, 60, 5),
        "linear.0": (128, 256),
        "linear.1": (128, 128),
        "classifier": (7, 128),
    }.items():
        found |= {f"{name}.weight": torch.zeros(shape), f"{name}.bias": torch.zeros(shape[0])}
    found["classifier.bias"][_HEARS_THE_FIRST] = 9.0
    return found


def _embedding() -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def norm(name: str, size: int) -> None:
        for part in ("weight", "running_var"):
            found[f"{name}.{part}"] = torch.ones(size)
        for part in ("bias", "running_mean"):
            found[f"{name}.{part}"] = torch.zeros(size)

    def layer(name: str, *shape: int, normed: str = "") -> None:
        found[f"{name}.weight"] = torch.zeros(shape)
        if normed:
            norm(normed, shape[0])

    layer("head.conv1", 32, 1, 3, 3, normed="head.bn1")
    layer("head.conv2", 32, 32, 3, 3, normed="head.bn2")
    for block in ("1.0", "1.1", "2.0", "2.1"):
        head = f"head.layer{block}"
        for number in (1, 2):
            layer(f"{head}.conv{number}", 32, 32, 3, 3, normed=f"{head}.bn{number}")
        if block.endswith("0"):
            layer(f"{head}.shortcut.0", 32, 32, 1, 1, normed=f"{head}.shortcut.1")
    layer("xvector.tdnn.linear", 128, 320, 5, normed="xvector.tdnn.nonlinear.batchnorm")
    size = 128
    for block, layers in enumerate((12, 24, 16), 1):
        for number in range(1, layers + 1):
            dense = f"xvector.block{block}.tdnnd{number}"
            norm(f"{dense}.nonlinear1.batchnorm", size)
            layer(f"{dense}.linear1", 128, size, 1, normed=f"{dense}.nonlinear2.batchnorm")
            layer(f"{dense}.cam_layer.linear_local", 32, 128, 3)
            for part, shape in (("linear1", (64, 128, 1)), ("linear2", (32, 64, 1))):
                layer(f"{dense}.cam_layer.{part}", *shape)
                found[f"{dense}.cam_layer.{part}.bias"] = torch.zeros(shape[0])
            size += 32
        norm(f"xvector.transit{block}.nonlinear.batchnorm", size)
        layer(f"xvector.transit{block}.linear", size // 2, size, 1)
        size //= 2
    norm("xvector.out_nonlinear.batchnorm", size)
    layer("xvector.dense.linear", 192, 2 * size, 1)
    dense = "xvector.dense.nonlinear.batchnorm"
    found[f"{dense}.running_mean"] = torch.linspace(-1.0, 1.0, 192)
    found[f"{dense}.running_var"] = torch.ones(192)
    return found
