"""Measures how fast this machine multiplies matrices through torch: the ceiling of any engine here.

`python -m benchmarks.gemm_peak` times int8 by every way torch offers, and float32 and bfloat16
beside it, for shapes like those of Whisper's encoder, with one thread and with all, and prints the
best GFLOP/s of each (two operations per product and sum, called FLOP for int8 too).
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from longscribe.engine.kernels import ZERO_CODE

_ROWS = (1500, 6000)  # one window, four windows
_WIDTHS = ((512, 2048), (768, 3072), (1280, 5120), (2048, 2048))  # inputs, outputs
_MEASURE_S = 0.25


class Shape(NamedTuple):
    """A product of [rows, inputs] with the transpose of [outputs, inputs]."""

    rows: int
    inputs: int
    outputs: int

    @property
    def operations(self) -> int:
        """Products and sums."""
        return 2 * self.rows * self.inputs * self.outputs

    def __str__(self) -> str:
        return f"{self.rows} x {self.inputs} x {self.outputs}"


Product = Callable[[], torch.Tensor]


def float_linear(shape: Shape, kind: torch.dtype) -> Product:
    """A linear layer in float32 or bfloat16."""
    rows, matrix = _random(shape)
    bias = torch.zeros(shape.outputs, dtype=kind)
    rows, matrix = rows.to(kind), matrix.to(kind)
    return lambda: torch.nn.functional.linear(rows, matrix, bias)


def dynamic_linear(shape: Shape, engine: str) -> Product:
    """The dynamic quantized layer: float32 in and out, so its time has the conversions in it."""
    from torch.ao.nn.quantized.dynamic import Linear

    rows, matrix = _random(shape)
    scales = matrix.abs().amax(dim=1).double() / 127
    zeros = torch.zeros(shape.outputs, dtype=torch.long)
    # A packed matrix belongs to the engine that was set when it was made.
    torch.backends.quantized.engine = engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch will move these tensors elsewhere
        layer = Linear(shape.inputs, shape.outputs)
        quantized = torch.quantize_per_channel(matrix, scales, zeros, 0, torch.qint8)
    layer.set_weight_bias(quantized, torch.zeros(shape.outputs))

    def product() -> torch.Tensor:
        result: torch.Tensor = layer(rows)
        return result

    return product


def int_mm(shape: Shape) -> Product:
    """torch._int_mm: int8 to int32, nothing else."""
    rows, matrix = (_int8(tensor) for tensor in _random(shape))
    columns = matrix.t().contiguous()
    return lambda: torch._int_mm(rows, columns)


def onednn_linear(shape: Shape, output: torch.dtype) -> Product:
    """The linear layer of oneDNN on 8-bit rows as the engine has them, with a matrix packed ahead.

    The rows are unsigned: without AMX oneDNN multiplies signed ones in a reference loop.
    """
    signed_rows, matrix = (_int8(tensor) for tensor in _random(shape))
    rows = (signed_rows.to(torch.int16) + ZERO_CODE).to(torch.uint8)
    packed = torch.ops.onednn.qlinear_prepack(matrix, list(rows.shape))
    scales = torch.full((shape.outputs,), 0.01)
    zeros = torch.zeros(shape.outputs, dtype=torch.int)
    bias = torch.zeros(shape.outputs)

    def product() -> torch.Tensor:
        result: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            rows, 0.01, ZERO_CODE, packed, scales, zeros, bias, 1.0, 0, output, "none", [], ""
        )
        return result

    return product


_WAYS: dict[str, Callable[[Shape], Product]] = {
    "float32 linear": lambda shape: float_linear(shape, torch.float32),
    "bfloat16 linear": lambda shape: float_linear(shape, torch.bfloat16),
    "int8 dynamic, engine x86": lambda shape: dynamic_linear(shape, "x86"),
    "int8 dynamic, engine onednn": lambda shape: dynamic_linear(shape, "onednn"),
    "int8 _int_mm": int_mm,
    "int8 onednn, float32 out": lambda shape: onednn_linear(shape, torch.float32),
    "int8 onednn, bfloat16 out": lambda shape: onednn_linear(shape, torch.bfloat16),
}


class Peak(NamedTuple):
    """The best speed of one way to multiply, and for which shape."""

    gflops: float
    shape: Shape


def measure(way: str, threads: int) -> Peak:
    """The best over all shapes."""
    torch.set_num_threads(threads)
    return max(
        Peak(shape.operations / _seconds(_WAYS[way](shape)) / 1e9, shape) for shape in _shapes()
    )


def _shapes() -> Iterator[Shape]:
    for rows in _ROWS:
        for inputs, outputs in _WIDTHS:
            yield Shape(rows, inputs, outputs)


def _seconds(product: Product) -> float:
    """The shortest of as many runs as fit, the first two left out."""
    product()
    product()
    best_s, end_s = float("inf"), time.perf_counter() + _MEASURE_S
    while (started_s := time.perf_counter()) < end_s:
        product()
        best_s = min(best_s, time.perf_counter() - started_s)
    return best_s


def _random(shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(shape.rows, shape.inputs), torch.randn(shape.outputs, shape.inputs)


def _int8(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor * 40).clamp(-127, 127).to(torch.int8)


def main() -> None:
    """Measure and print a table."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}))
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    print("| product | threads | GFLOP/s | rows x inputs x outputs |\n|---|---:|---:|---|")
    with torch.inference_mode():
        for way in _WAYS:
            for threads in arguments.threads:
                peak = measure(way, threads)
                print(f"| {way} | {threads} | {peak.gflops:.0f} | {peak.shape} |", flush=True)


if __name__ == "__main__":
    main()
