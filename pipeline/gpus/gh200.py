"""GH200-96GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "GH200-96GB",
    gib=96,
    tb_s=4.0,
    tflops=989,
    link_gb_s=300,
    efficiency=(0.38, 0.5, 0.58),
    node_gpus=4,
    source="NVIDIA GH200 data sheet (2024), 96 GB HBM3",
)
