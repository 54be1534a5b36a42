"""RTX-4090."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "RTX-4090",
    gib=24,
    tb_s=1.008,
    tflops=165,
    link_gb_s=8,
    efficiency=(0.5, 0.65, 0.75),
    node_gpus=8,
    source="NVIDIA Ada architecture paper (2022); 330 TFLOP/s are sparse",
)
