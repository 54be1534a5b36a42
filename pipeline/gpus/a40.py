"""A40."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "A40",
    gib=48,
    tb_s=0.696,
    tflops=149.7,
    link_gb_s=12,
    efficiency=(0.45, 0.6, 0.7),
    node_gpus=4,
    source="NVIDIA A40 data sheet (2022); PCIe 4.0 between pairs of cards is what most nodes have",
)
