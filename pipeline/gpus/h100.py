"""H100-80GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "H100-80GB",
    gib=80,
    tb_s=3.35,
    tflops=989,
    link_gb_s=300,
    efficiency=(0.38, 0.5, 0.58),
    node_gpus=8,
    source="NVIDIA H100 data sheet (2023), SXM5 with NVLink 4",
)
