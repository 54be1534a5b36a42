"""A100-40GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "A100-40GB",
    gib=40,
    tb_s=1.555,
    tflops=312,
    link_gb_s=200,
    efficiency=(0.55, 0.66, 0.75),
    node_gpus=8,
    source="NVIDIA A100 data sheet (2021), SXM4 with NVLink 3",
)
