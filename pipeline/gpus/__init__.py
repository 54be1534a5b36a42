"""GPUs (and the CPU), one file each: what a cost model has to know of a device.

A module has `GPU`, a `Gpu`. Figures are vendors' data sheets: *dense* bf16 (a sheet that prints sparse figures, as
those of the L40S and the RTX 4090 do, is halved); `efficiency` is the share of the peak that a tuned training reaches
on large matrices, as a prior (10, 50, 90 %) over published runs. Nothing of this ever decides an artifact's content.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.catalogue import Catalogue
from pipeline.errors import InputError, suggest

_catalogue = Catalogue("pipeline.gpus", __path__, "GPU")
names = _catalogue.names


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of device.

    `memory_bytes`, `bandwidth` of that memory in bytes/s, `peak_flops` dense in bf16 per second, `link` between two
    devices of one node in bytes/s and direction, `efficiency` (10, 50, 90 %), `node_gpus` of a usual node.
    """

    name: str
    memory_bytes: float
    bandwidth: float
    peak_flops: float
    link: float
    efficiency: tuple[float, float, float]
    node_gpus: int
    source: str


GIB = 2.0**30


def make_gpu(
    name: str,
    *,
    gib: float,
    tb_s: float,
    tflops: float,
    link_gb_s: float,
    efficiency: tuple[float, float, float],
    node_gpus: int = 8,
    source: str,
) -> Gpu:
    """A device from a data sheet's units: GiB, TB/s, dense bf16 TFLOP/s, GB/s."""
    return Gpu(name, gib * GIB, tb_s * 1e12, tflops * 1e12, link_gb_s * 1e9, efficiency, node_gpus, source)


def module_name(name: str) -> str:
    """`A100-80GB`, `a100_80gb`, `NVIDIA A100 80GB` → the file's name."""
    plain = name.lower().replace("nvidia", "").strip().replace("-", "_").replace(" ", "_")
    aliases = {"a100": "a100_80gb", "a100_80": "a100_80gb", "a100_40": "a100_40gb", "4090": "rtx_4090", "rtx4090": "rtx_4090",
               "h100_80gb": "h100", "h200_141gb": "h200", "a40_48gb": "a40"}  # fmt: skip
    return aliases.get(plain, plain)


def get(name: str) -> Gpu:
    """One device by its name; InputError with the nearest name where no file describes it."""
    found = module_name(name)
    if found not in names():
        raise InputError(
            f"no file describes the GPU {name!r}",
            f"{suggest(found, names())} Or add pipeline/gpus/{found}.py with its data sheet's figures.",
        )
    gpu: Gpu = _catalogue.module(found).GPU
    return gpu
