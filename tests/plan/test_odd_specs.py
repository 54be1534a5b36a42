"""Specs that are odd and right: what they mean, not that they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import SpecErrors
from tests.support.studies import BASIC, compile_text, edited


def test_levels_that_are_booleans_are_selected_as_they_are_written(tmp_path: Path) -> None:
    text = edited(
        ("    rollouts: 4\n", "    rollouts: 4\n    mask_truncated: ${mask}\n"),
        ("factors:\n", "factors:\n  mask: [true, false]\n"),
        ("cells: [{rl: none}, {", "cells: [{rl: none, mask: false}, {mask: true, "),
        ("of: {sft: none, rl: none}", "of: {sft: none, rl: none, mask: 'false'}"),
    )
    cells = compile_text(text, tmp_path).studies[0].lowered.cells
    assert [cell.level("mask") for cell in cells] == ["true"] * 2 + ["false"] * 3


def test_the_factor_of_the_models_may_have_any_name(tmp_path: Path) -> None:
    renamed = edited(("  model:\n", "  policy:\n")) + "chain: [{policy: model}, sft, rl]\n"
    plan, other = compile_text(renamed, tmp_path), compile_text(BASIC, tmp_path)
    trained = {key for key, artifact in plan.artifacts.items() if artifact.stage == "rl"}
    assert trained and trained <= set(other.artifacts)


def test_a_factor_with_a_dot_in_its_name_can_be_referred_to(tmp_path: Path) -> None:
    text = edited(
        ("learning_rate: 1e-4", "learning_rate: ${rl.rate}"),
        ("factors:\n", "factors:\n  rl.rate: [1e-4, 1e-5]\n"),
    )
    assert len(compile_text(text, tmp_path).studies[0].lowered.cells) == 10


@pytest.mark.parametrize("change", ["\ufeff", "# a comment\n---\n"])
def test_a_mark_at_the_start_of_the_file_changes_nothing(change: str, tmp_path: Path) -> None:
    assert (
        compile_text(change + BASIC, tmp_path).artifacts.keys()
        == compile_text(BASIC, tmp_path).artifacts.keys()
    )


def test_a_published_number_at_a_step_that_is_a_mapping_is_a_message(tmp_path: Path) -> None:
    row = "published:\n  - {source: x, columns: [accuracy], rows: [{sft: none, step: {a: 1}, values: [1]}]}\n"
    with pytest.raises(SpecErrors, match=r"step is \{a: 1\}\n.*Write one step"):
        compile_text(BASIC + row, tmp_path)
