"""What every stage declares: its own name, an engine beside it, a place in the order, facts that its products bear out."""

from __future__ import annotations

import ast

import pytest

from pipeline import stages
from pipeline.errors import StudyError
from tests.conftest import ROOT

ORDER = (
    "source", "filter", "mix", "subset", "base", "sft", "rl", "checkpoint", "sample", "score", "judge", "select", "solve",
    "dialogue", "synthesise", "compress", "analyse", "report",
)  # fmt: skip


def test_stages_come_in_the_order_in_which_a_study_goes_through_them() -> None:
    assert tuple(stage.name for stage in stages.in_order()) == ORDER
    assert stages.names() == tuple(sorted(ORDER))
    assert stages.trainings() == ("sft", "rl")


@pytest.mark.parametrize("name", ORDER)
def test_a_stage_has_one_name_and_an_engine_that_runs_jobs(name: str) -> None:
    assert stages.load(name).name == name
    tree = ast.parse((ROOT / "pipeline" / "engines" / f"{name}.py").read_text())
    (run,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    assert [argument.arg for argument in run.args.args] == ["job"]


def test_trainings_make_policies() -> None:
    assert {stage.produces for stage in stages.in_order() if stage.training is not None} == {"policy"}


def test_an_unknown_stage_and_one_that_does_not_train_are_refused() -> None:
    with pytest.raises(StudyError, match="there is no stage 'sample_'") as caught:
        stages.load("sample_")
    assert "Did you mean 'sample'?" in caught.value.remedy
    with pytest.raises(StudyError, match="stage 'score' trains no policy"):
        stages.load_training("score")
