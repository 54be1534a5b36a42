"""What studyc needs beyond its base installation: which extra brings a package, and the sentence that says so.

The base installation plans, explains, verifies and draws reports. `pip install 'studyc[run]'` brings Snakemake,
other extras bring what stages need; pyproject.toml has their versions, and a test holds the two together.
"""

from __future__ import annotations

import importlib.util

from pipeline.errors import RefusedError

EXTRAS = {
    "run": ("snakemake", "psutil", "rich"),
    "slurm": ("snakemake_executor_plugin_slurm",),
    "data": (
        "pyarrow", "datasets", "huggingface_hub", "httpx", "transformers", "tokenizers", "safetensors",
        "math_verify", "latex2sympy2_extended", "sympy",
    ),
    "judge": ("tenacity",),
    "train": ("torch", "trl", "accelerate", "peft", "deepspeed"),
    "vllm": ("vllm",),
}  # fmt: skip
"""Extra → the packages that we import and that come with it, by the names under which they are imported."""


def require(extra: str) -> None:
    """RefusedError where a package of an extra is not installed."""
    for package in EXTRAS[extra]:
        if importlib.util.find_spec(package) is None:
            raise RefusedError(_sentence(package, extra))


def refusal_of(error: ModuleNotFoundError) -> RefusedError | None:
    """A missing package as a message that says which extra brings it; None where it is none that an extra brings."""
    package = (error.name or "").partition(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return RefusedError(_sentence(package, extra))
    return None


def _sentence(package: str, extra: str) -> str:
    return f"this needs the extra {extra} ({package} is not installed): pip install 'studyc[{extra}]'"
