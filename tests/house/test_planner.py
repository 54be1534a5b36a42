"""What plans is tested with pydantic, PyYAML, pytest and hypothesis alone: `pytest @tests/planner.txt` in a bare environment."""

from __future__ import annotations

import subprocess
import sys

from tests.house.test_imports import HEAVY
from tests.support import ROOT

PATHS = (ROOT / "tests" / "planner.txt").read_text().split()

ABSENT = (
    *HEAVY,
    "scipy",
    "httpx",
    "huggingface_hub",
    "jsonschema",
    "psutil",
    "safetensors",
    "snakemake",
    "tokenizers",
)

_COLLECT = f"""\
import sys, pytest

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.exit(pytest.main(["--collect-only", "-q", *sys.argv[1:]]))
"""


def test_the_planners_tests_are_found_where_no_data_stack_is() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COLLECT, *PATHS], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"{path}" in done.stdout for path in PATHS)
