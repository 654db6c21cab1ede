"""The engine as each class of processor computes it, as far as this one can imitate it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from longscribe.engine.packed_linear import has_int8_products

# Of the logits' mean difference from float32's, whose own deviation is 2.2: in 8 bits, in pairs of
# 12 bits, and in 8 bits where weights have half their range.
BYTES, PAIRS, HALF_RANGE = 0.22, 0.1, 0.44

# By oneDNN's limit: what the processor must have; attention, products of the encoder and of the
# decoder's steps; how near they are.
CLASSES = {
    "AVX": ((), "_Float32Attention", "PackedLinear", "PackedLinear", HALF_RANGE),
    "AVX2": (("avx2",), "PairAttention", "PairLinear", "PairLinear", PAIRS),
    "AVX2_VNNI": (("avx_vnni",), "PairAttention", "PackedLinear", "PairLinear", BYTES),
    "AVX512_CORE": (("avx512_bw",), "PairAttention", "PairLinear", "PairLinear", PAIRS),
    "AVX512_CORE_VNNI": (("avx512_vnni",), "ByteAttention", "PackedLinear", "TiledLinear", BYTES),
}

IMITATE = """
import json
from longscribe.cache.kernels import kernels_folder
from longscribe.engine.processor import set_up_numba
set_up_numba(kernels_folder())
import torch, whisper
from whisper.tokenizer import get_tokenizer
from longscribe.decoding.windows import pack
from longscribe.engine.int8_network import Int8Network
from longscribe.models.weights import resolve_model
from tests.longscribe.networks import compared
from tests.recordings import beginning, sound_in
torch.set_grad_enabled(False)
demo = resolve_model("demo")
part = beginning()
mels = [
    whisper.log_mel_spectrogram(whisper.pad_or_trim(window.samples(part)))
    for window in pack(sound_in(part), part)[:3]
]
network = Int8Network(demo)
tokenizer = get_tokenizer(True, num_languages=99, language="en", task="transcribe")
upstream = whisper.load_model(str(demo.path), device="cpu")
steps = list(compared(network, upstream, tokenizer, mels))
found = [
    type(network._attention).__name__,
    type(network._encoder[0].qkv._packed).__name__,
    type(network._logits).__name__,
    float(torch.stack([step.difference.mean() for step in steps]).mean()),
]
print(json.dumps(found))
"""


@pytest.mark.skipif(not has_int8_products(), reason="no int8 products on this processor")
@pytest.mark.parametrize(
    "limit",
    [
        "AVX2",
        "AVX2_VNNI",
        "AVX512_CORE_VNNI",
        *(pytest.param(limit, marks=pytest.mark.service) for limit in ("AVX", "AVX512_CORE")),
    ],
)
def test_every_class_of_processor_has_arithmetic_that_is_near_upstream_s(limit: str) -> None:
    needed, *chosen, close = CLASSES[limit]
    if not all(torch.cpu.get_capabilities().get(name) for name in needed):
        pytest.skip("this processor cannot imitate it")
    environment = {name: v for name, v in os.environ.items() if not name.startswith("NUMBA_CPU")}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", IMITATE],
        env={**environment, "ONEDNN_MAX_CPU_ISA": limit, "PYTHONPATH": "."},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    *found, difference = json.loads(ran.stdout)
    assert found == chosen
    assert difference < close
