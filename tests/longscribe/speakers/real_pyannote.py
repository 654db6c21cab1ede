"""A pipeline of pyannote.audio's own classes with made weights.

Its segmentation hears the first voice everywhere; its embeddings are of random weights.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

_SIZE = 256
_HEARS_THE_FIRST = 1  # of the seven classes
_LDA = 128


def write_real_pipeline(folder: Path) -> Path:
    """Write it as community-1 is laid out; its folder."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    segmentation = PyanNet(lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8})
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["a", "b", "c"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.build()
    with torch.no_grad():
        segmentation.classifier.weight.zero_()
        segmentation.classifier.bias.zero_()
        segmentation.classifier.bias[_HEARS_THE_FIRST] = 9.0
    embedding = WeSpeakerResNet34()
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=10.0
    )
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        (folder / name).mkdir(parents=True)
        torch.save(_checkpoint(model), folder / name / "pytorch_model.bin")
    (folder / "plda").mkdir()
    even = np.random.default_rng(0)
    np.savez(
        folder / "plda" / "xvec_transform.npz",
        mean1=np.zeros(_SIZE),
        mean2=np.zeros(_LDA),
        lda=np.linalg.qr(even.normal(size=(_SIZE, _SIZE)))[0][:, :_LDA],
    )
    np.savez(
        folder / "plda" / "plda.npz",
        mu=np.zeros(_LDA),
        tr=np.eye(_LDA),
        psi=np.linspace(9.0, 1.0, _LDA),
    )
    config = {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "clustering": "VBxClustering",
                "segmentation": "$model/segmentation",
                "segmentation_batch_size": 32,
                "embedding": "$model/embedding",
                "embedding_batch_size": 32,
                "embedding_exclude_overlap": True,
                "plda": "$model/plda",
            },
        },
        "params": {
            "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
            "segmentation": {"min_duration_off": 0.0},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def _checkpoint(model: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.4.0",
    }
    model.on_save_checkpoint(content)
    return content
