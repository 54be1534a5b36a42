"""H800-80GB."""

from pipeline.gpus import make_gpu

GPU = make_gpu(
    "H800-80GB",
    gib=80,
    tb_s=3.35,
    tflops=989,
    link_gb_s=130,
    efficiency=(0.38, 0.5, 0.58),
    node_gpus=8,
    source="as H100 with NVLink at 400 GB/s both ways",
)
