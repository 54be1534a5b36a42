"""H20-96GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "H20-96GB",
    gib=96,
    tb_s=4.0,
    tflops=148,
    link_gb_s=300,
    efficiency=(0.65, 0.78, 0.88),
    node_gpus=8,
    source="published figures of the H20 (148 TFLOP/s dense bf16, 4 TB/s)",
)
