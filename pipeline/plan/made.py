"""Rows that a model makes or chooses → sample, solve, dialogue, score, judge, select, synthesise and compress artifacts.

An entry's words are shared out between the stages that make it, by the fields of their configurations:

    sampled      sample → score → synthesise     correct responses of a policy
    rejection    solve → synthesise              rounds that go on with what is unsolved
    dialogue     dialogue → synthesise           self-correction dialogues as long chains
    compressed   compress                        another entry's solutions, shortened

    filters: solved_by  sample → score → select  how often a policy solves the problem
             judged     judge → select           how a judge labels the problem
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline import stages
from pipeline.errors import Problem, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.judges import Judges
from pipeline.plan.policies import At, Policies
from pipeline.plan.sources import Rows
from pipeline.spec.levels import Problems, Settings, inherit, validate_settings
from pipeline.spec.models import MADE, SET_BY_ENTRY, DataSpec
from pipeline.spec.study import Study

MODEL_FILTERS = ("solved_by", "judged")
"""Filters that need a model, and therefore stages of their own."""

_ROWS_WORD = {"compressed": "data"}
_POLICY_WORD = {"compressed": "compressor"}


def referenced(entry: DataSpec) -> tuple[list[str], list[str]]:
    """Names that an entry refers to: data entries, policies."""
    data = [part.data for part in entry.mix or ()]
    policies = []
    kind = entry.made_by
    if kind is not None:
        words = getattr(entry, kind)
        data += [words.get(_ROWS_WORD.get(kind, "problems")), words.get("match_budget_of")]
        policies += [words.get("policy"), words.get("compressor")]
    for raw in entry.filters:
        _name, given = (raw, None) if isinstance(raw, str) else next(iter(raw.items()), ("", None))
        if isinstance(given, Mapping):
            policies.append(given.get("policy"))
            data += [other for other in given.get("against", ()) if isinstance(other, str)]
    known = lambda names: [name for name in names if isinstance(name, str)]
    return known(data), known(policies)


class MadeLowering:
    """Lowers what a model makes; `entry` gives the rows of a named data entry."""

    def __init__(
        self,
        study: Study,
        problems: Problems,
        add: Callable[..., str],
        policies: Policies,
        entry: Callable[[str, At | None], Rows | None],
    ) -> None:
        self.study = study
        self.problems = problems
        self.add = add
        self.policies = policies
        self.entry = entry
        self._budgets: dict[tuple[str, At | None], str] = {}
        self._known: dict[tuple[Any, ...], Config | None] = {}

    def lower(self, name: str, spec: DataSpec, at: At | None) -> tuple[str, int | None, str] | None:
        """(key, most rows, slug) of an entry that a model makes; None after noting what is wrong."""
        kind = spec.made_by
        path = ("data", name, kind)
        settings = inherit(getattr(spec, kind), path, self.study.spec.recipes, self.problems)
        words = dict(settings.values)
        rows = self._rows(words.pop(_ROWS_WORD.get(kind, "problems"), None), kind, settings, path, at)
        policy_word = _POLICY_WORD.get(kind, "policy")
        policy_path = settings.origins.get(policy_word, path)
        policy = self.policies.key(words.pop(policy_word, None), at, policy_path)
        budget = (
            self._budget(words.pop("match_budget_of", None), settings, at) if kind == "rejection" else None
        )
        reader = None
        if kind == "compressed" and "policy" in words:
            reader = self.policies.key(words.pop("policy"), at, settings.origins["policy"])
        also = (_ROWS_WORD.get(kind, "problems"), policy_word, "inherits")
        configs = self._configs(path, MADE[kind], words, settings, spec.seed, f"data {name!r}", also)
        if settings.is_broken or rows is None or policy is None or configs is None or budget is False:
            return None
        if kind == "compressed":
            inputs = {"rows": (rows.key,), "compressor": (policy,)}
            if reader is not None:
                inputs["policy"] = (reader,)
            key = self.add(
                "compress", configs[0], spec.seed, inputs, f"compress {name}", f"{rows.name}-compressed"
            )
            return key, rows.at_most, f"{rows.name}-compressed"
        return self._made(name, kind, spec.seed, configs, rows, policy, budget, at)

    def _made(
        self,
        name: str,
        kind: str,
        seed: int,
        configs: tuple[Config, ...],
        rows: Rows,
        policy: str,
        budget: str | None,
        at: At | None,
    ) -> tuple[str, int | None, str]:
        stage, slug = MADE[kind][0], f"{rows.name}-{kind}"
        if kind == "sampled":
            given = self._sampled(configs[0], seed, rows, policy, f"data {name}")
            samples = configs[0].samples
            at_most = (
                None
                if rows.at_most is None
                else rows.at_most * min(samples, configs[1].per_problem or samples)
            )
        else:
            inputs = {"policy": (policy,), "rows": (rows.key,), **({"budget": (budget,)} if budget else {})}
            made = self.add(stage, configs[0], seed, inputs, f"{stage} {name}", slug)
            self._budgets[(name, at)] = made
            given = {"dialogues" if stage == "dialogue" else "completions": (made,)}
            at_most = None
        key = self.add("synthesise", configs[1], 0, given, f"synthesise {name}", slug)
        return key, at_most, slug

    def _sampled(
        self, config: Config, seed: int, rows: Rows, policy: str, title: str
    ) -> dict[str, tuple[str, ...]]:
        """Responses of a policy to all rows, and their scores."""
        inputs = {"policy": (policy,), "problems": (rows.key,)}
        name = f"{rows.name}-k{config.samples}"
        completions = self.add("sample", config, seed, inputs, f"sample {title}", name)
        scores = self.add(
            "score", self.study.spec.score, 0, {"completions": (completions,)}, f"score {title}", name
        )
        return {"completions": (completions,), "scores": (scores,)}

    def _rows(
        self, wanted: Any, kind: str, settings: Settings, path: PathTuple, at: At | None
    ) -> Rows | None:
        word = _ROWS_WORD.get(kind, "problems")
        place = settings.origins.get(word, path)
        if wanted is None:
            self.problems.add(path, f"{'.'.join(path)} lacks {word!r}", "Name a data entry.", key=True)
            return None
        if wanted not in self.study.spec.data:
            if f"data.{wanted}" not in self.study.broken:
                self.problems.add(
                    place, f"data {wanted!r} is unknown", suggest(str(wanted), self.study.spec.data)
                )
            return None
        return self.entry(wanted, at)

    def _budget(self, wanted: Any, settings: Settings, at: At | None) -> str | bool | None:
        """The solve artifact whose number of draws is to be matched; None: none is named, False: an error."""
        if wanted is None:
            return None
        place = settings.origins["match_budget_of"]
        known = [name for name, spec in self.study.spec.data.items() if spec.made_by == "rejection"]
        if wanted not in known:
            what = f"match_budget_of {wanted!r} is no data entry made by rejection"
            self.problems.add(place, what, suggest(str(wanted), known) if known else "")
            return False
        if self.entry(wanted, at) is None:
            return False
        return self._budgets.get((wanted, at)) or self._budgets.get((wanted, None)) or False

    def _configs(
        self,
        path: PathTuple,
        names: tuple[str, ...],
        words: Mapping[str, Any],
        settings: Settings,
        seed: int,
        label: str,
        also_known: tuple[str, ...],
    ) -> tuple[Config, ...] | None:
        """The words shared out between stages; an unknown word is noted once, with all that are known."""
        models = [stages.load(stage).Config for stage in names]
        fields = {field for model in models for field in model.model_fields} - set(SET_BY_ENTRY)
        locate = settings.locator(self.problems.document)
        is_fine = True
        for word in words:
            if word not in fields:
                is_fine = False
                remedy = suggest(word, sorted([*fields, *also_known]))
                self.problems.extend(
                    [Problem(f"{label}: unknown key {word!r}", remedy, locate((word,), True))]
                )
        given: dict[str, Any] = {"prompt": self.study.spec.prompt, **words, "score": self.study.spec.score}
        found = []
        for model in models:
            own = {k: v for k, v in given.items() if k in model.model_fields}
            if "seed" in model.model_fields:
                own["seed"] = seed
            found.append(
                self._settle(model, own, settings, label, (*also_known, *(fields - set(model.model_fields))))
            )
        return tuple(found) if is_fine and all(config is not None for config in found) else None

    def _settle(
        self, model: Any, values: dict[str, Any], settings: Settings, label: str, also: tuple[str, ...]
    ) -> Config | None:
        """One configuration per place of the file: entries that several cells ask for are validated once."""
        known = (model, settings.path)
        if known not in self._known:
            self._known[known] = validate_settings(
                model, values, settings, self.problems, label=label, also_known=also
            )
        return self._known[known]

    def filter(
        self, kind: str, raw: Any, path: PathTuple, name: str, rows: Rows, at: At | None, judges: Judges
    ) -> Rows | None:
        """The rows that a filter with a model keeps; None after noting what is wrong."""
        if not isinstance(raw, Mapping):
            self.problems.add(path, f"filter {kind!r} is {raw!r}", "Write its parameters as a mapping.")
            return None
        settings = inherit(raw, path, self.study.spec.recipes, self.problems)
        words = dict(settings.values)
        seed = self.study.spec.data[name].seed
        chosen = (
            self._solved_by(words, settings, path, name, rows, at, seed)
            if kind == "solved_by"
            else self._judged(words, settings, path, name, rows, at, seed, judges)
        )
        if chosen is None or settings.is_broken:
            return None
        config, inputs = chosen
        slug = f"{rows.name}-selected"
        key = self.add("select", config, 0, {"rows": (rows.key,), **inputs}, f"select {name} ({kind})", slug)
        return Rows(key, rows.at_most, slug, rows.label)

    def _solved_by(
        self,
        words: dict,
        settings: Settings,
        path: PathTuple,
        name: str,
        rows: Rows,
        at: At | None,
        seed: int,
    ) -> tuple[Config, dict[str, tuple[str, ...]]] | None:
        policy = self.policies.key(words.pop("policy", None), at, settings.origins.get("policy", path))
        configs = self._configs(
            path,
            ("sample", "select"),
            words,
            settings,
            seed,
            f"data {name!r}: solved_by",
            ("policy", "inherits"),
        )
        if policy is None or configs is None:
            return None
        given = self._sampled(configs[0], seed, rows, policy, f"filter {name}")
        return configs[1], {"scores": given["scores"]}

    def _judged(
        self,
        words: dict,
        settings: Settings,
        path: PathTuple,
        name: str,
        rows: Rows,
        at: At | None,
        seed: int,
        judges: Judges,
    ) -> tuple[Config, dict[str, tuple[str, ...]]] | None:
        judge = judges.find(words.pop("by", None), settings.origins.get("by", path))
        if "keep" in words:
            words["labels"] = words.pop("keep")
            settings = Settings(
                settings.values, {**settings.origins, "labels": settings.origins["keep"]}, settings.path
            )
        configs = self._configs(
            path, ("select",), words, settings, seed, f"data {name!r}: judged", ("by", "keep", "inherits")
        )
        if judge is None or configs is None:
            return None
        verdicts = self.add(
            "judge",
            judge.config,
            0,
            judge.inputs("rows", rows.key),
            f"judge {name}",
            f"{rows.name}-{judge.config.judge}",
        )
        return configs[0], {"verdicts": (verdicts,)}
