"""`only: [{rl: none}, {step: 40}]` of a measure or an analysis: the cells and checkpoints where it is taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pipeline.errors import shown
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, Cell, check_selector, is_selected
from pipeline.plan.lower.answers import Selectors
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study

ONLY = "only"


def read_only(raw: Any, path: PathTuple, study: Study, problems: Problems) -> Selectors | None:
    """The selectors; none where the word is absent, None after noting what is wrong with them."""
    if raw is None:
        return ()
    if not isinstance(raw, tuple) or not raw or not all(isinstance(item, Mapping) for item in raw):
        problems.add(path, f"only is {shown(raw)}", "Write a list of selectors, [{rl: none}, …].")
        return None
    checked = [check_selector(study, one, (*path, i), problems, steps=True) for i, one in enumerate(raw)]
    return raw if all(checked) else None


def note_idle(
    only: Selectors, path: PathTuple, places: Collection[tuple[Cell, int | None, str]], problems: Problems
) -> None:
    """Note a selector that answers to no place (cell, checkpoint or the end, measure) where responses are sampled."""
    for i, selector in enumerate(only):
        if not any(is_selected(cell, step, selector) for cell, step, _ in places):
            remedy = (
                "Name a checkpoint that its level publishes."
                if STEP in selector
                else "Name cells that exist."
            )
            problems.add((*path, i), f"nothing is sampled where {shown(selector)} says", remedy)
