"""B200-180GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "B200-180GB",
    gib=180,
    tb_s=8.0,
    tflops=2250,
    link_gb_s=600,
    efficiency=(0.3, 0.42, 0.52),
    node_gpus=8,
    source="NVIDIA DGX B200 data sheet (2024); efficiency is extrapolated, no run was checked",
)
