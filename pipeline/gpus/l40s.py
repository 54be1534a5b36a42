"""L40S-48GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "L40S-48GB",
    gib=48,
    tb_s=0.864,
    tflops=362,
    link_gb_s=12,
    efficiency=(0.35, 0.5, 0.62),
    node_gpus=8,
    source="NVIDIA L40S data sheet (2023); the sheet's 733 TFLOP/s are sparse",
)
