"""H200-141GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "H200-141GB",
    gib=141,
    tb_s=4.8,
    tflops=989,
    link_gb_s=300,
    efficiency=(0.38, 0.52, 0.6),
    node_gpus=8,
    source="NVIDIA H200 data sheet (2024)",
)
