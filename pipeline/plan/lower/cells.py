"""Cells → artifacts: the chain model → training stages → checkpoints → sample → score → analyse.

Work that two cells (or two studies) share is one artifact, because an artifact is named by what
decides its content. Every problem is collected; nothing here reads a file but through digests and the lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import Location
from pipeline.fingerprint import Config
from pipeline.plan.artifact import Artifact
from pipeline.plan.cells import Cell, expand_cells, is_selected
from pipeline.plan.graph import Graph
from pipeline.plan.lower.analyses import Analysis, add_measures, read_analyses
from pipeline.plan.lower.data import DataLowering
from pipeline.plan.lower.judges import Judges
from pipeline.plan.lower.only import ONLY, note_idle
from pipeline.plan.lower.policies import At, Policies
from pipeline.plan.lower.recipes import Recipe, Recipes
from pipeline.plan.lower.sources import Rows
from pipeline.request.units import DataNode, Run, Unit
from pipeline.spec.levels import Problems, split_reference
from pipeline.spec.study import Study
from pipeline.stages import load_training
from pipeline.stages.checkpoint import of_run

SUBSET_SHIFT = 1_000_003
"""Distance between the subset seeds of two replicates, where replicates vary the subset."""


@dataclass
class Lowered:
    """What one study needs, in the order of its cells."""

    study: Study
    cells: tuple[Cell, ...]
    units: list[Unit] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    datasets: list[DataNode] = field(default_factory=list)
    cell_units: dict[tuple[Cell, int | None, str], list[int]] = field(default_factory=dict)
    """(cell, checkpoint step, measure) → indices of the units of all replicates."""
    data_keys: dict[str, str] = field(default_factory=dict)
    """Name of a data entry → its artifact, as the first cell asks for it."""


@dataclass(frozen=True)
class _Step:
    """One training of a cell: its recipe (None where it is broken), its title, where its rows are asked for."""

    recipe: Recipe | None
    title: str
    where: Location | None


@dataclass(frozen=True)
class _Chain:
    """A cell's base model and trainings."""

    base: str
    steps: tuple[_Step, ...]


def lower_study(study: Study, graph: Graph, problems: Problems) -> Lowered:
    """Add a study's artifacts to the graph; returns its units, runs and data sets."""
    return _Lowering(study, graph, problems).lower()


class _Lowering:
    def __init__(self, study: Study, graph: Graph, problems: Problems) -> None:
        self.study = study
        self.graph = graph
        self.problems = problems
        self.recipes = Recipes(study, problems)
        self.policies = Policies(study, problems)
        self.policies.base = self._base
        self.policies.own = self._own_policy
        self.judges = Judges(study, problems, self.policies.key)
        self.data = DataLowering(study, problems, self._add_data, self.policies, self.judges)
        self.result = Lowered(study, expand_cells(study, problems))
        self._nodes: dict[str, DataNode] = {}
        self._steps: dict[str, tuple[int, ...]] = {}
        self._checkpoint_configs: dict[tuple[int, int], Config] = {}

    def lower(self) -> Lowered:
        self.policies.check_all()
        self.judges.check_all()
        first = At(self.result.cells[0], 0, 0) if self.result.cells else None
        self.data.check_all(first)
        self._check_levels()
        analyses = read_analyses(self.study, self.judges, self.problems)
        vary = self.study.spec.replicates.vary
        for cell in self.result.cells:
            cell_dict = cell.as_dict()
            chain, measures = self._chain(cell), None
            for replicate, seed in enumerate(self.study.spec.replicates.seeds):
                shift = SUBSET_SHIFT * seed if "subset" in vary else 0
                at = At(cell, replicate, seed if "train" in vary else 0, shift)
                final = None if chain is None else self._policy(chain, at, cell_dict)
                if final is None:
                    continue
                measures = self._measures(cell, at) if measures is None else measures
                for step, policy in (*self._checkpoints(final, chain), (None, final)):
                    own_seed = seed if "sample" in vary else 0
                    self._measure(cell, cell_dict, replicate, own_seed, step, policy, measures, analyses)
        if not self.problems:  # else policies may be missing for another reason
            self._check_only(analyses)
        self.result.datasets = self._named_apart()
        known = {name: self.data.entry(name, first) for name in self.study.spec.data}
        self.result.data_keys = {name: rows.key for name, rows in known.items() if rows is not None}
        return self.result

    def _check_only(self, analyses: list[Analysis]) -> None:
        """Note an `only` that selects nothing."""
        places = self.result.cell_units
        for settings in self.study.measures.values():
            if settings.values.get(ONLY) and not settings.references:
                note_idle(settings.values[ONLY], settings.origins[ONLY], places, self.problems)
        for analysis in analyses:
            note_idle(analysis.only, (*analysis.path, ONLY), places, self.problems)

    def _add_data(self, stage: str, config: Config, seed: int, inputs: Any, title: str, name: str) -> str:
        key = self.graph.add(stage, config, seed, inputs, title, name)
        if key not in self._nodes:
            given = [k for keys in inputs.values() for k in keys]
            parents = tuple(k if k in self._nodes else self.graph.artifacts[k].title for k in given)
            self._nodes[key] = DataNode(name=title, stage=stage, key=key, inputs=parents)
        return key

    def _named_apart(self) -> list[DataNode]:
        """The data sets; those that several policies make alike, with the policy that made each."""
        counted = Counter(node.name for node in self._nodes.values())
        return [
            replace(node, name=f"{node.name} · {maker}")
            if counted[node.name] > 1 and (maker := self._maker(node.key))
            else node
            for node in self._nodes.values()
        ]

    def _maker(self, key: str) -> str | None:
        """The policy that a data set comes from, in the study's words: of several the one with the longest chain."""
        inputs = dict(self.graph.artifacts[key].inputs)
        if "policy" in inputs:
            return self.graph.artifacts[inputs["policy"][0]].title
        makers = [self._maker(other) for keys in inputs.values() for other in keys]
        return max(filter(None, makers), key=len, default=None)

    def _check_levels(self) -> None:
        """Validate levels that no cell uses, too: an error there is an error."""
        if not self.result.cells:
            return
        order = {name: i for i, name in enumerate(self.study.factors)}
        first = self.result.cells[0]
        for factor in self.study.factors.values():
            for level in factor.levels:
                levels = list(first.levels)
                levels[order[factor.name]] = level
                probe = Cell(first.factors, tuple(levels))
                if factor.kind == "model":
                    self.recipes.model(factor.name, probe)
                elif factor.kind != "value":
                    self.recipes.training(factor.name, probe)
        for measure in self.study.measures:
            self.recipes.measure(measure, first)
        self._check_values()

    def _check_values(self) -> None:
        """A further factor that nothing refers to changes nothing: that is an error, not a choice."""
        if self.problems.is_broken("chain", ""):
            return
        used: set[str] = set()
        for factor in self.study.factors.values():
            for level in factor.levels.values():
                references = level.settings.references if level.settings else ()
                used |= {split_reference(reference, self.study.factors)[0] for reference in references}
        for settings in self.study.measures.values():
            used |= {split_reference(reference, self.study.factors)[0] for reference in settings.references}
        for factor in self.study.factors.values():
            if factor.kind == "value" and factor.name not in used and len(factor.levels) > 1:
                self.problems.add(
                    ("factors", factor.name),
                    f"factor {factor.name!r} changes nothing: no level and no measure refers to ${{{factor.name}}}",
                    "Use ${" + factor.name + "} where it should matter, or name it in `chain` if it trains.",
                    key=True,
                )

    def _own_policy(self, at: At, trainings: frozenset[str]) -> str | None:
        """The policy of a cell after these trainings only, for data that it makes."""
        chain = self._chain(at.cell, only=trainings)
        return None if chain is None else self._policy(chain, at)

    def _chain(self, cell: Cell, only: frozenset[str] | None = None) -> _Chain | None:
        """What a cell trains (`only` these factors), the same for all its replicates; None without a base model."""
        factors = self.study.chain
        if not factors:
            return None
        recipe = self.recipes.model(factors[0], cell)
        base = None if recipe is None else self._base(recipe, f"{factors[0]}={cell.level(factors[0])}")
        if base is None:
            return None
        steps = []
        for position, factor in enumerate(factors[1:], start=2):
            level = self.study.factors[factor].levels[cell.level(factor)]
            if not level.is_skipped and (only is None or factor in only):
                title = " ".join(f"{f}={cell.level(f)}" for f in factors[:position])
                where = (
                    None
                    if level.settings is None
                    else level.settings.locator(self.problems.document)(("rows",), False)
                )
                steps.append(_Step(self.recipes.training(factor, cell), title, where))
        return _Chain(base, tuple(steps))

    def _policy(self, chain: _Chain, at: At, cell_dict: Mapping[str, str] | None = None) -> str | None:
        """The key of a replicate's final policy, training stage by training stage; None where a level is broken.

        `cell_dict` names the cell whose runs these are; without it they are only needed on the way to data.
        """
        key = chain.base
        for step in chain.steps:
            recipe = step.recipe
            rows = None
            if recipe is not None and recipe.data is not None:
                rows = self.data.subset(recipe.data, recipe.rows, at.shift, step.where, at)
            if recipe is None or rows is None:
                return None
            key = self._train(recipe, key, rows, at.seed, f"{step.title} · seed {at.seed}")
            if cell_dict is not None:
                self.result.runs.append(
                    Run(cell=cell_dict, replicate=at.replicate, stage=recipe.stage, key=key)
                )
        return key

    def _base(self, recipe: Recipe, title: str) -> str | None:
        config = recipe.config
        data: tuple[str, ...] = ()
        if recipe.phases:
            rows = [
                self.data.entry(name) if name in self.study.spec.data else None
                for name, _ in recipe.phases[0]
            ]
            if any(r is None for r in rows):
                return None
            data = tuple(r.key for r in rows)
        if config.tiny is not None:
            name = f"tiny-{config.tiny.layers}x{config.tiny.hidden_size}"
        else:
            name = (
                (config.hub.name if config.hub is not None else config.local.path)
                .rstrip("/")
                .rsplit("/", 1)[-1]
            )
        return self.graph.add("base", config, 0, {"data": data} if data else {}, title, name)

    def _train(self, recipe: Recipe, policy: str, rows: Any, seed: int, title: str) -> str:
        slug = load_training(recipe.stage).slug(recipe.config, rows.label)
        name = f"{self.graph.slugs[policy]}-{slug}"
        key = self.graph.add(
            recipe.stage, recipe.config, seed, {"policy": (policy,), "data": (rows.key,)}, title, name
        )
        if recipe.checkpoints:
            self._steps[key] = recipe.checkpoints
            artifact = self.graph.artifacts[key]
            wanted = sorted({*artifact.hints.get("checkpoints", ()), *recipe.checkpoints})
            self.graph.artifacts[key] = Artifact(
                key, artifact.settled, artifact.seed, artifact.inputs, artifact.title, {"checkpoints": wanted}
            )
        return key

    def _checkpoints(self, final: str, chain: _Chain) -> list[tuple[int | None, str]]:
        """The checkpoints of a cell's last training, each an artifact of its own."""
        if not chain.steps:
            return []
        run = self.graph.artifacts[final]
        found = []
        for step in self._steps.get(final, ()):
            config = self._checkpoint_configs.get((run.settled.index, step))
            if config is None:
                config = of_run(run.settled.config, step)
                self._checkpoint_configs[(run.settled.index, step)] = config
            title = f"{run.title} · step {step}"
            inputs = {"run": (final,), **dict(run.inputs)}
            found.append(
                (
                    step,
                    self.graph.add(
                        "checkpoint", config, run.seed, inputs, title, f"{self.graph.slugs[final]}-step{step}"
                    ),
                )
            )
        return found

    def _measures(self, cell: Cell, at: At) -> list[tuple[str, Recipe, Rows]]:
        """The measures of a cell with their protocols and problems, the same for all its policies."""
        found = []
        for measure, settings in self.study.measures.items():
            recipe = self.recipes.measure(measure, cell)
            if recipe is not None:
                where = settings.locator(self.problems.document)(("rows",), False)
                rows = self.data.subset(recipe.data, recipe.rows, 0, where, at)
                if rows is not None:
                    found.append((measure, recipe, rows))
        return found

    def _measure(
        self,
        cell: Cell,
        cell_dict: Mapping[str, str],
        replicate: int,
        seed: int,
        step: int | None,
        policy: str,
        measures: list[tuple[str, Recipe, Rows]],
        analyses: list[Analysis],
    ) -> None:
        add, score = self.graph.add, self.study.spec.score
        where = self.graph.artifacts[policy].title.split(" · seed")[0] + (f" step {step}" if step else "")
        short = self.graph.slugs[policy][:40].rstrip("-._")
        for measure, recipe, rows in measures:
            if recipe.only and not any(is_selected(cell, step, selector) for selector in recipe.only):
                continue
            own_seed = 0 if recipe.config.temperature == 0 else seed
            title = f"{where} · {measure} · seed {own_seed}"
            name = f"{short}-{rows.label}-k{recipe.config.samples}"
            completions = add(
                "sample", recipe.config, own_seed, {"policy": (policy,), "problems": (rows.key,)}, title, name
            )
            scores = add("score", score, 0, {"completions": (completions,)}, title, name)
            taken = [a for a in analyses if a.is_taken(cell, step, measure)]
            measured = add_measures(self.graph, taken, completions, policy, title, name)
            unit = Unit(
                cell=cell_dict, replicate=replicate, seed=own_seed, measure=measure, policy=policy,
                completions=completions, scores=scores, analyses=measured, step=step,
            )  # fmt: skip
            self.result.cell_units.setdefault((cell, step, measure), []).append(len(self.result.units))
            self.result.units.append(unit)
