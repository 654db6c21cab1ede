"""int8 linear layers in oneDNN's own packed layout, over memory that every worker maps.

All of torch that is not for the public is in this file: its ahead-of-time compiler's C interface,
and operators of its `onednn` and `mkldnn` namespaces. Another build of torch may lack them, or end
the process in them: so they are tried out first, in a process of their own.
"""

import ctypes
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from longscribe.cache.folder import cache_folder
from longscribe.engine.kernels import ZERO_CODE
from longscribe.engine.processor import instructions, integer_range, lacks_byte_products
from longscribe.errors import ModelError
from longscribe.wording.catalog import translated

_TRIAL = "from longscribe.engine.packed_linear import try_out; try_out()"
_TRIAL_WITHIN_S = 120.0  # torch's import from a slow disk included


class PackedLinear(NamedTuple):
    """An int8 linear layer: `product(x)` with codes (n, in) uint8 gives (n, out) float32.

    Attributes:
        weight: oneDNN's own packed layout of (out, in) int8.
        scales: of the outputs, (out,) float32.
        zeros: zero points, (out,) int32.
        bias: (out,) float32; not added by `product`, as rows have scales of their own.
    """

    weight: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor

    @property
    def rows(self) -> torch.dtype:
        """Of the codes that it multiplies."""
        return torch.uint8

    def product(self, codes: Tensor) -> Tensor:
        """The product without bias, times the outputs' scales; codes stand around `ZERO_CODE`."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(codes, 1.0, ZERO_CODE, self.weight, self.scales, self.zeros, None),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return product


@cache
def has_int8_products() -> bool:
    """Whether mapped int8 matrices can be multiplied: by our own code, or this build of torch.

    torch's is tried out in a process of its own, once for each version and instruction set: where
    it ends that process, it would end a worker too.
    """
    if lacks_byte_products():
        return True
    onednn = torch.backends.mkldnn.is_available()
    if platform.machine() not in ("x86_64", "AMD64") or not onednn:
        return False
    record = cache_folder() / "kernels" / f"onednn-{torch.__version__}-{instructions()}.passed"
    if record.is_file():
        return True
    try:
        command = [sys.executable, "-P", "-c", _TRIAL]
        trial = subprocess.run(command, capture_output=True, timeout=_TRIAL_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if trial.returncode != 0:
        return False
    with suppress(OSError):  # it is tried again next time
        record.parent.mkdir(parents=True, exist_ok=True)
        record.touch()
    return True


def try_out() -> None:
    """Multiply by a matrix as it is kept, and compare.

    Raises:
        AssertionError, AttributeError, RuntimeError, ModelError: it does not do what it should.
    """
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    codes = torch.full((1, 64), ZERO_CODE + 1, dtype=torch.uint8)
    product = unpacked(packed(weight, torch.zeros(64))).product(codes)
    torch.testing.assert_close(product, weight.sum(dim=1)[None], atol=2.0, rtol=0.0)


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix (out, in) as int8, and a scale for each output, (out,) float32."""
    scales = weight.abs().amax(dim=1).clamp_min(1e-12) / integer_range()
    return torch.round(weight / scales[:, None]).to(torch.int8), scales


def packed(weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """A layer in oneDNN's layout, as tensors that can be saved; (out, in) and (out,) float32."""
    codes, scales = quantized(weight)
    opaque = torch.ops.onednn.qlinear_prepack(codes, None)
    size_bytes = torch.ops.mkldnn._nbytes(opaque)
    content = ctypes.string_at(torch.ops.mkldnn.data_ptr(opaque), size_bytes)
    return {
        "packed": torch.frombuffer(bytearray(content), dtype=torch.uint8),
        "layout": torch.ops.mkldnn._get_mkldnn_serialized_md(opaque).clone(),
        "shape": torch.tensor(opaque.shape),
        "scales": scales,
        "bias": bias,
    }


def unpacked(kept: dict[str, Tensor]) -> PackedLinear:
    """A layer over the memory of what `packed` gave.

    Raises:
        ModelError: this build of torch refuses it.
    """
    weight = _opaque_tensor(kept["packed"], kept["layout"], kept["shape"].tolist())
    zeros = torch.zeros(len(kept["scales"]), dtype=torch.int32)
    return PackedLinear(weight, kept["scales"], zeros, kept["bias"])


def _opaque_tensor(content: Tensor, layout: Tensor, shape: list[int]) -> Tensor:
    """A tensor in oneDNN's packed layout over memory that is already there.

    torch packs weights only into memory of its own, which every worker would hold again. The entry
    that its ahead-of-time compiler uses for the same purpose (torch/csrc/inductor/aoti_torch/c/
    shim.h, a stable C interface) takes a pointer and the layout that `_get_mkldnn_serialized_md`
    gave.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    handle = ctypes.c_void_p()
    metadata = bytes(layout.numpy().tobytes())
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    strides = (ctypes.c_int64 * len(shape))(*[shape[1], 1])
    failed = library.aoti_torch_create_tensor_from_blob_v2(
        ctypes.c_void_p(content.data_ptr()),
        ctypes.c_int64(len(shape)),
        sizes,
        strides,
        ctypes.c_int64(0),
        ctypes.c_int32(library.aoti_torch_dtype_int8()),
        ctypes.c_int32(library.aoti_torch_device_type_cpu()),
        ctypes.c_int32(-1),
        ctypes.byref(handle),
        ctypes.c_int32(library.aoti_torch_layout__mkldnn()),
        ctypes.create_string_buffer(metadata, len(metadata)),
        ctypes.c_int64(len(metadata)),
    )
    if failed:
        raise ModelError(
            translated("this build of torch cannot use mapped int8 weights; use float32.")
        )
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new_capsule(handle, None, None)
    tensor: Tensor = torch._C._aoti.alloc_tensor_by_stealing_from_void_ptr(capsule)
    tensor._longscribe_keeps = content  # type: ignore[attr-defined]  # the memory must outlive it
    return tensor
