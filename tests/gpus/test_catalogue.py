"""The catalogue of GPUs: one file each, figures of data sheets, names as people write them."""

from __future__ import annotations

import pytest

from pipeline import gpus
from pipeline.errors import StudyError


@pytest.mark.parametrize("name", gpus.names())
def test_a_gpu_has_plausible_figures_and_a_source(name: str) -> None:
    gpu = gpus.get(name)
    assert 20 * gpus.GIB < gpu.memory_bytes < 200 * gpus.GIB
    assert 0.5e12 < gpu.bandwidth < 9e12 and 1e14 < gpu.peak_flops < 3e15
    assert gpu.efficiency == tuple(sorted(gpu.efficiency)) and gpu.source


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("A100", "A100-80GB"),
        ("NVIDIA A100-40GB", "A100-40GB"),
        ("h100", "H100-80GB"),
        ("RTX 4090", "RTX-4090"),
        ("l40s", "L40S-48GB"),
    ],
)
def test_names_are_read_as_people_write_them(written: str, name: str) -> None:
    assert gpus.get(written).name == name


def test_a_gpu_that_no_file_describes_is_refused_with_the_remedy() -> None:
    with pytest.raises(StudyError) as refused:
        gpus.get("MI300X")
    assert "no file describes" in refused.value.what and "pipeline/gpus/mi300x.py" in refused.value.remedy
