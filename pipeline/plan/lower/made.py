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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pipeline import judges
from pipeline.errors import shown, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.lower.answers import Inputs, Rows, Words
from pipeline.plan.lower.demands import At, Attempts, ModelConfigs, ModelWords
from pipeline.plan.lower.judges import find_judge
from pipeline.plan.lower.policies import find_policy
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import all_rows

if TYPE_CHECKING:
    from pipeline.stages.sample import SampleConfig
    from pipeline.stages.synthesise import SynthesiseConfig

MODEL_FILTERS = ("solved_by", "judged")
"""Filters that need a model, and therefore stages of their own."""

_ATTEMPTS = {"rejection": ("solve", "completions"), "dialogue": ("dialogue", "dialogues")}
"""Kinds of entries whose rows are made of what one stage wrote → that stage, and the role of what it wrote."""


def make_rows(resolver: Resolver, name: str, at: At | None) -> Rows | None:
    """The rows of an entry that a model makes; None after noting what is wrong."""
    kind = resolver.study.spec.data[name].made_by
    if kind == "sampled":
        return _sampled(resolver, name, at)
    if kind == "compressed":
        return _compressed(resolver, name, at)
    asked = ModelWords(name, str(kind))
    attempts, configs = resolver.get(Attempts(name, at)), resolver.get(ModelConfigs(asked))
    if attempts is None or configs is None:
        return None
    given: Inputs = {_ATTEMPTS[asked.kind][1]: (attempts.key,)}
    key = resolver.datasets.add("synthesise", configs[1], 0, given, f"synthesise {name}", attempts.name)
    return Rows(key, None, attempts.name, name)


def _sampled(resolver: Resolver, name: str, at: At | None) -> Rows | None:
    asked = ModelWords(name, "sampled")
    words = resolver.get(asked)
    if words is None:
        return None
    rows = _rows(resolver, words, "problems", at)
    policy = find_policy(resolver, *words.take("policy"), at)
    configs = resolver.get(ModelConfigs(asked))
    if words.settings.is_broken or rows is None or policy is None or configs is None:
        return None
    sample, synthesise = cast("tuple[SampleConfig, SynthesiseConfig]", configs)
    slug = f"{rows.name}-sampled"
    given = _responses(resolver, sample, words.seed, rows, policy, f"data {name}")
    key = resolver.datasets.add("synthesise", synthesise, 0, given, f"synthesise {name}", slug)
    kept = min(sample.samples, synthesise.per_problem or sample.samples)
    return Rows(key, None if rows.at_most is None else rows.at_most * kept, slug, name)


def _compressed(resolver: Resolver, name: str, at: At | None) -> Rows | None:
    asked = ModelWords(name, "compressed")
    words = resolver.get(asked)
    if words is None:
        return None
    rows = _rows(resolver, words, "data", at)
    compressor = find_policy(resolver, *words.take("compressor"), at)
    reader = None
    if "policy" in words.settings.values:
        reader = find_policy(resolver, *words.take("policy"), at)
    configs = resolver.get(ModelConfigs(asked))
    if words.settings.is_broken or rows is None or compressor is None or configs is None:
        return None
    inputs: Inputs = {"rows": (rows.key,), "compressor": (compressor,)}
    if reader is not None:
        inputs["policy"] = (reader,)
    slug = f"{rows.name}-compressed"
    key = resolver.datasets.add("compress", configs[0], words.seed, inputs, f"compress {name}", slug)
    return Rows(key, rows.at_most, slug, name)


def make_attempts(resolver: Resolver, demand: Attempts) -> Rows | None:
    """The rule of `Attempts`: what `solve` or `dialogue` writes for an entry."""
    name, at = demand.name, demand.at
    asked = ModelWords(name, str(resolver.study.spec.data[name].made_by))
    words = resolver.get(asked)
    if words is None:
        return None
    rows = _rows(resolver, words, "problems", at)
    policy = find_policy(resolver, *words.take("policy"), at)
    budget = _budget(resolver, words, at) if asked.kind == "rejection" else ()
    configs = resolver.get(ModelConfigs(asked))
    if words.settings.is_broken or rows is None or policy is None or configs is None or budget is None:
        return None
    inputs: Inputs = {"policy": (policy,), "rows": (rows.key,)}
    if budget:
        inputs["budget"] = budget
    (stage, _role), slug = _ATTEMPTS[asked.kind], f"{rows.name}-{asked.kind}"
    key = resolver.datasets.add(stage, configs[0], words.seed, inputs, f"{stage} {name}", slug)
    return Rows(key, None, slug, name)


def _responses(
    resolver: Resolver, config: SampleConfig, seed: int, rows: Rows, policy: str, title: str
) -> Inputs:
    """Responses of a policy to all rows, and their scores."""
    inputs: Inputs = {"policy": (policy,), "problems": (rows.key,)}
    slug = f"{rows.name}-k{config.samples}"
    completions = resolver.datasets.add("sample", config, seed, inputs, f"sample {title}", slug)
    given: Inputs = {"completions": (completions,)}
    scores = resolver.datasets.add("score", resolver.study.spec.score, 0, given, f"score {title}", slug)
    return {**given, "scores": (scores,)}


def _rows(resolver: Resolver, words: Words, word: str, at: At | None) -> Rows | None:
    """The rows that an entry is made of."""
    wanted, place = words.take(word)
    if wanted is None:
        path = words.settings.path
        what = f"{'.'.join(map(str, path))} lacks {word!r}"
        resolver.problems.add(path, what, "Name a data entry.", key=True)
        return None
    if not isinstance(wanted, str) or wanted not in resolver.study.spec.data:
        if not resolver.problems.is_broken("data", wanted):
            what = f"data {shown(wanted)} is unknown"
            resolver.problems.add(place, what, suggest(wanted, resolver.study.spec.data))
        return None
    return all_rows(resolver, wanted, at)


def _budget(resolver: Resolver, words: Words, at: At | None) -> tuple[str, ...] | None:
    """The solve artifact whose number of draws is to be matched, if one is named; None after noting what is wrong."""
    (wanted, place), (rounds, _) = words.take("match_budget_of"), words.take("rounds")
    problems, entries = resolver.problems, resolver.study.spec.data
    if wanted is None and not rounds:
        remedy = "Give rounds, such as [2, 10, 100], or match_budget_of another entry."
        problems.add(words.settings.path, f"{words.label} lacks 'rounds'", remedy, key=True)
        return None
    if wanted is None:
        return ()
    if rounds:
        remedy = "Remove rounds: the draws of that budget are spread evenly over the problems."
        problems.add(place, f"{words.label} has both rounds and match_budget_of", remedy)
        return None
    known = [name for name, spec in entries.items() if spec.made_by == "rejection"]
    if wanted not in known:
        what = f"match_budget_of {shown(wanted)} is no data entry made by rejection"
        problems.add(place, what, suggest(str(wanted), known) if known else "")
        return None
    if all_rows(resolver, wanted, at) is None:
        return None
    attempts = resolver.get(Attempts(wanted, at if resolver.facts.is_own(wanted) else None))
    return None if attempts is None else (attempts.key,)


def choose_rows(
    resolver: Resolver, kind: str, raw: Any, path: PathTuple, name: str, index: int, rows: Rows, at: At | None
) -> Rows | None:
    """The rows that an entry's filter with a model keeps; None after noting what is wrong."""
    if not isinstance(raw, Mapping):
        what = f"filter {kind!r} is {shown(raw)}"
        resolver.problems.add(path, what, "Write its parameters as a mapping.")
        return None
    asked = ModelWords(name, kind, index)
    words = resolver.get(asked)
    if words is None:
        return None
    if kind == "solved_by":
        chosen = _solved_by(resolver, asked, words, rows, at)
    else:
        chosen = _judged(resolver, asked, words, rows)
    if chosen is None or words.settings.is_broken:
        return None
    config, inputs = chosen
    slug, title = f"{rows.name}-selected", f"select {name} ({kind})"
    key = resolver.datasets.add("select", config, 0, {"rows": (rows.key,), **inputs}, title, slug)
    return Rows(key, rows.at_most, slug, rows.label)


def _solved_by(
    resolver: Resolver, asked: ModelWords, words: Words, rows: Rows, at: At | None
) -> tuple[Config, Inputs] | None:
    policy = find_policy(resolver, *words.take("policy"), at)
    configs = resolver.get(ModelConfigs(asked))
    if policy is None or configs is None:
        return None
    sample = cast("SampleConfig", configs[0])
    given = _responses(resolver, sample, words.seed, rows, policy, f"filter {asked.entry}")
    return configs[1], {"scores": given["scores"]}


def _judged(resolver: Resolver, asked: ModelWords, words: Words, rows: Rows) -> tuple[Config, Inputs] | None:
    (named, place), (keep, path) = words.take("by"), words.take("keep")
    for word, given in (("by", named), ("keep", keep)):
        if given is None:
            remedy = {"by": "Name one of `judges`.", "keep": "Name the labels that stay: keep: [LABEL]."}
            what = f"{words.label} lacks {word!r}"
            resolver.problems.add(words.settings.path, what, remedy[word], key=True)
    judge = find_judge(resolver, named, place) if named is not None else None
    if judge is None or keep is None:
        return None
    labels = judges.get(judge.config.judge).LABELS
    for i, label in enumerate(keep if isinstance(keep, tuple) else ()):
        if not isinstance(label, str) or label not in labels:
            what = f"judge {judge.name!r} gives no label {shown(label)}"
            resolver.problems.add((*path, i), what, suggest(label, labels))
            return None
    configs = resolver.get(ModelConfigs(asked))
    if configs is None:
        return None
    slug, inputs = f"{rows.name}-{judge.config.judge}", judge.inputs("rows", rows.key)
    verdicts = resolver.datasets.add("judge", judge.config, 0, inputs, f"judge {asked.entry}", slug)
    return configs[0], {"verdicts": (verdicts,)}
