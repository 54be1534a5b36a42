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

from pipeline import judges
from pipeline.errors import shown, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.lower.judges import Judges
from pipeline.plan.lower.policies import At, Policies
from pipeline.plan.lower.sources import Rows
from pipeline.plan.lower.word_sharing import Words, WordSharing
from pipeline.spec.levels import Problems, inherit
from pipeline.spec.models import MADE, DataSpec
from pipeline.spec.study import Study

MODEL_FILTERS = ("solved_by", "judged")
"""Filters that need a model, and therefore stages of their own."""

_ROWS_WORD = {"compressed": "data"}
_POLICY_WORD = {"compressed": "compressor"}

Inputs = dict[str, tuple[str, ...]]
"""Role → keys of artifacts."""
Made = tuple[str, int | None, str]
"""(key, most rows, slug) of an entry's last artifact."""


def referenced(entry: DataSpec) -> tuple[list[str], list[str]]:
    """Names that an entry refers to: data entries, policies."""
    data: list[Any] = [*rows_of(entry)]
    policies = []
    kind = entry.made_by
    if kind is not None:
        words = getattr(entry, kind)
        data.append(words.get("match_budget_of"))
        policies += [words.get("policy"), words.get("compressor")]
    for raw in entry.filters:
        _name, given = (raw, None) if isinstance(raw, str) else next(iter(raw.items()), ("", None))
        if isinstance(given, Mapping):
            policies.append(given.get("policy"))
            against = given.get("against")
            data += against if isinstance(against, tuple) else ()
    known = lambda names: [name for name in names if isinstance(name, str)]
    return known(data), known(policies)


def rows_of(entry: DataSpec) -> list[str]:
    """Names of the data entries whose rows an entry's are."""
    kind = entry.made_by
    made_of = [getattr(entry, kind).get(_ROWS_WORD.get(kind, "problems"))] if kind is not None else []
    return [name for name in (*(part.data for part in entry.mix or ()), *made_of) if isinstance(name, str)]


class MadeLowering:
    """Lowers what a model makes; `entry` gives the rows of a named data entry."""

    def __init__(
        self,
        study: Study,
        problems: Problems,
        add: Callable[..., str],
        policies: Policies,
        judges: Judges,
        entry: Callable[[str, At | None], Rows | None],
    ) -> None:
        self.study = study
        self.problems = problems
        self.add = add
        self.policies = policies
        self.judges = judges
        self.entry = entry
        self._sharing = WordSharing(study, problems)
        self._budgets: dict[tuple[str, At | None], str] = {}

    def lower(self, name: str, spec: DataSpec, at: At | None) -> Made | None:
        """What an entry that a model makes ends in; None after noting what is wrong."""
        kind = spec.made_by
        path = ("data", name, kind)
        settings = inherit(getattr(spec, kind), path, self.study.spec.recipes, self.problems)
        rows_word, policy_word = _ROWS_WORD.get(kind, "problems"), _POLICY_WORD.get(kind, "policy")
        words = Words(f"data {name!r}", settings, spec.seed, (rows_word, policy_word, "inherits"))
        rows = self._rows(words, rows_word, kind, at)
        policy = self.policies.key(*words.take(policy_word), at)
        budget = self._budget(words, at) if kind == "rejection" else None
        reader = None
        if kind == "compressed" and "policy" in words.values:
            reader = self.policies.key(*words.take("policy"), at)
        configs = self._sharing.configs(words, MADE[kind])
        if settings.is_broken or rows is None or policy is None or configs is None or budget is False:
            return None
        if kind == "sampled":
            return self._sampled(name, spec.seed, configs, rows, policy)
        if kind == "compressed":
            return self._compressed(name, spec.seed, configs[0], rows, policy, reader)
        inputs = {"policy": (policy,), "rows": (rows.key,), **({"budget": (budget,)} if budget else {})}
        stage, slug = MADE[kind][0], f"{rows.name}-{kind}"
        tried = self.add(stage, configs[0], spec.seed, inputs, f"{stage} {name}", slug)
        self._budgets[(name, at)] = tried
        given = {"dialogues" if stage == "dialogue" else "completions": (tried,)}
        return self.add("synthesise", configs[1], 0, given, f"synthesise {name}", slug), None, slug

    def _sampled(self, name: str, seed: int, configs: tuple[Config, ...], rows: Rows, policy: str) -> Made:
        sample, synthesise = configs
        slug = f"{rows.name}-sampled"
        given = self._responses(sample, seed, rows, policy, f"data {name}")
        key = self.add("synthesise", synthesise, 0, given, f"synthesise {name}", slug)
        kept = min(sample.samples, synthesise.per_problem or sample.samples)
        return key, None if rows.at_most is None else rows.at_most * kept, slug

    def _compressed(
        self, name: str, seed: int, config: Config, rows: Rows, compressor: str, reader: str | None
    ) -> Made:
        inputs = {"rows": (rows.key,), "compressor": (compressor,)}
        inputs |= {"policy": (reader,)} if reader is not None else {}
        slug = f"{rows.name}-compressed"
        return self.add("compress", config, seed, inputs, f"compress {name}", slug), rows.at_most, slug

    def _responses(self, config: Config, seed: int, rows: Rows, policy: str, title: str) -> Inputs:
        """Responses of a policy to all rows, and their scores."""
        inputs = {"policy": (policy,), "problems": (rows.key,)}
        slug = f"{rows.name}-k{config.samples}"
        completions = self.add("sample", config, seed, inputs, f"sample {title}", slug)
        given = {"completions": (completions,)}
        return {
            **given,
            "scores": (self.add("score", self.study.spec.score, 0, given, f"score {title}", slug),),
        }

    def _rows(self, words: Words, word: str, kind: str, at: At | None) -> Rows | None:
        wanted, place = words.take(word)
        if wanted is None:
            path = words.settings.path
            self.problems.add(path, f"{'.'.join(path)} lacks {word!r}", "Name a data entry.", key=True)
            return None
        if not isinstance(wanted, str) or wanted not in self.study.spec.data:
            if not self.problems.is_broken("data", wanted):
                what = f"data {shown(wanted)} is unknown"
                self.problems.add(place, what, suggest(wanted, self.study.spec.data))
            return None
        return self.entry(wanted, at)

    def _budget(self, words: Words, at: At | None) -> str | bool | None:
        """The solve artifact whose number of draws is to be matched; None: none is named, False: an error."""
        wanted, place = words.take("match_budget_of")
        rounds = words.values.get("rounds")
        if wanted is None and not rounds:
            remedy = "Give rounds, such as [2, 10, 100], or match_budget_of another entry."
            self.problems.add(words.settings.path, f"{words.label} lacks 'rounds'", remedy, key=True)
            return False
        if wanted is None:
            return None
        if rounds:
            remedy = "Remove rounds: the draws of that budget are spread evenly over the problems."
            self.problems.add(place, f"{words.label} has both rounds and match_budget_of", remedy)
            return False
        known = [name for name, spec in self.study.spec.data.items() if spec.made_by == "rejection"]
        if wanted not in known:
            what = f"match_budget_of {shown(wanted)} is no data entry made by rejection"
            self.problems.add(place, what, suggest(str(wanted), known) if known else "")
            return False
        if self.entry(wanted, at) is None:
            return False
        return self._budgets.get((wanted, at)) or self._budgets.get((wanted, None)) or False

    def filter(
        self, kind: str, raw: Any, path: PathTuple, name: str, rows: Rows, at: At | None
    ) -> Rows | None:
        """The rows that a filter with a model keeps; None after noting what is wrong."""
        if not isinstance(raw, Mapping):
            self.problems.add(path, f"filter {kind!r} is {shown(raw)}", "Write its parameters as a mapping.")
            return None
        settings = inherit(raw, path, self.study.spec.recipes, self.problems)
        label, seed = f"data {name!r}: {kind}", self.study.spec.data[name].seed
        chosen = (
            self._solved_by(Words(label, settings, seed, ("policy", "inherits")), name, rows, at)
            if kind == "solved_by"
            else self._judged(Words(label, settings, seed, ("by", "keep", "inherits")), name, rows)
        )
        if chosen is None or settings.is_broken:
            return None
        config, inputs = chosen
        slug = f"{rows.name}-selected"
        key = self.add("select", config, 0, {"rows": (rows.key,), **inputs}, f"select {name} ({kind})", slug)
        return Rows(key, rows.at_most, slug, rows.label)

    def _solved_by(self, words: Words, name: str, rows: Rows, at: At | None) -> tuple[Config, Inputs] | None:
        policy = self.policies.key(*words.take("policy"), at)
        configs = self._sharing.configs(words, ("sample", "select"))
        if policy is None or configs is None:
            return None
        given = self._responses(configs[0], words.seed, rows, policy, f"filter {name}")
        return configs[1], {"scores": given["scores"]}

    def _judged(self, words: Words, name: str, rows: Rows) -> tuple[Config, Inputs] | None:
        named, place = words.take("by")
        for word, given in (("by", named), ("keep", words.values.get("keep"))):
            if given is None:
                remedy = {"by": "Name one of `judges`.", "keep": "Name the labels that stay: keep: [LABEL]."}
                self.problems.add(
                    words.settings.path, f"{words.label} lacks {word!r}", remedy[word], key=True
                )
        judge = self.judges.find(named, place) if named is not None else None
        if judge is None or words.values.get("keep") is None:
            return None
        keep = words.values["keep"]
        labels = judges.get(judge.config.judge).LABELS
        path = words.settings.origins["keep"]
        for i, label in enumerate(keep if isinstance(keep, tuple) else ()):
            if label not in labels:
                what = f"judge {judge.name!r} gives no label {shown(label)}"
                self.problems.add((*path, i), what, suggest(label, labels))
                return None
        words.rename("keep", "labels")
        configs = self._sharing.configs(words, ("select",))
        if configs is None:
            return None
        slug, inputs = f"{rows.name}-{judge.config.judge}", judge.inputs("rows", rows.key)
        verdicts = self.add("judge", judge.config, 0, inputs, f"judge {name}", slug)
        return configs[0], {"verdicts": (verdicts,)}
