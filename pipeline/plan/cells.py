"""Cells: which combinations of levels exist, in the order in which the factors were declared."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple, read_scalar
from pipeline.spec.base import level_name
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study

STEP = "step"
"""The one selector key that is no factor: a checkpoint of an RL run."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: a level of every factor."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]

    def level(self, factor: str) -> str:
        """The cell's level of one factor."""
        return self.levels[self.factors.index(factor)]

    def as_dict(self) -> dict[str, str]:
        """Factor → level."""
        return dict(zip(self.factors, self.levels, strict=True))

    @property
    def name(self) -> str:
        """A readable name: the levels in order."""
        return " ".join(f"{factor}={level}" for factor, level in zip(self.factors, self.levels, strict=True))


def chosen_levels(selected: Any) -> tuple[str, ...]:
    """The level names that a selector's value stands for (`none`, one, or a list)."""
    if isinstance(selected, tuple):
        return tuple(name for item in selected for name in chosen_levels(item))
    return (level_name(selected),)


def is_selected(cell: Cell, step: int | None, selector: Mapping[str, Any]) -> bool:
    """Whether a selector allows a cell at a checkpoint; one without `step` allows all of its checkpoints."""
    steps = selector.get(STEP)
    if STEP in selector and step not in (steps if isinstance(steps, tuple) else (steps,)):
        return False
    return all(cell.level(f) in chosen_levels(level) for f, level in selector.items() if f != STEP)


def check_selector(
    study: Study, selector: Mapping[str, Any], path: PathTuple, problems: Problems, *, steps: bool = False
) -> bool:
    """Note unknown factors and levels of a selector; True when it has none."""
    is_fine = True
    for factor, selected in selector.items():
        if selected == ():
            is_fine = False
            what = f"{factor}: no {'step' if factor == STEP else 'level'} is listed"
            problems.add((*path, factor), what, f"List some, or leave {factor!r} out: all of them then.")
            continue
        if steps and factor == STEP:
            continue
        if factor not in study.factors:
            is_fine = False
            if not problems.is_broken("factors", factor):
                known = [*study.factors, *([STEP] if steps else [])]
                problems.add(
                    (*path, factor), f"factor {factor!r} is unknown", suggest(factor, known), key=True
                )
            continue
        for i, level in enumerate(chosen_levels(selected)):
            if level not in study.factors[factor].levels:
                is_fine = False
                place = (*path, factor, i) if isinstance(selected, tuple) else (*path, factor)
                written = selected[i] if isinstance(selected, tuple) else selected
                remedy = _quote(written, study.factors[factor].levels) or suggest(
                    level, study.factors[factor].levels
                )
                problems.add(place, f"factor {factor!r} has no level {level!r}", remedy)
    return is_fine


def _quote(written: Any, levels: Iterable[str]) -> str:
    """A remedy where a number or a word that YAML reads stands for a level that is written in the same way."""
    same = [name for name in levels if not isinstance(written, str) and read_scalar(name) == written]
    return (
        f"Quote it as the level is written: {same[0]!r}; without quotes it is read as {shown(written)}."
        if same
        else ""
    )


def expand_cells(study: Study, problems: Problems) -> tuple[Cell, ...]:
    """The union of the cell patterns, without repetition, in declared order; unknown names are noted."""
    names = tuple(study.factors)
    positions: dict[tuple[int, ...], None] = {}
    for i, pattern in enumerate(study.spec.cells):
        if not check_selector(study, pattern, ("cells", i), problems):
            continue
        axes: list[Sequence[int]] = []
        for name in names:
            order = {level: k for k, level in enumerate(study.factors[name].levels)}
            wanted = chosen_levels(pattern[name]) if name in pattern else order
            axes.append([order[level] for level in wanted])
        positions.update(dict.fromkeys(itertools.product(*axes)))
    levels = [tuple(study.factors[name].levels) for name in names]
    return tuple(
        Cell(names, tuple(levels[axis][k] for axis, k in enumerate(position)))
        for position in sorted(positions)
    )


class CellIndex:
    """Finds cells by their levels without looking at all of them."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells
        self._positions: dict[tuple[str, str], set[int]] = {}
        for position, cell in enumerate(cells):
            for pair in zip(cell.factors, cell.levels, strict=True):
                self._positions.setdefault(pair, set()).add(position)

    def match(self, *selectors: Mapping[str, Any]) -> list[Cell]:
        """The cells that all selectors allow, in order; `step` is not theirs to decide."""
        wanted: dict[str, set[str]] = {}
        for selector in selectors:
            for factor, selected in selector.items():
                if factor != STEP:
                    names = set(chosen_levels(selected))
                    wanted[factor] = wanted[factor] & names if factor in wanted else names
        if not wanted:
            return list(self._cells)
        none: set[int] = set()
        allowed = [
            none.union(*(self._positions.get((f, name), none) for name in names))
            for f, names in wanted.items()
        ]
        return [self._cells[position] for position in sorted(set.intersection(*allowed))]
