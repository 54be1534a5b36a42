"""The judges of a study: `judges: {NAME: {judge: …, engine: …}}` → the configuration of stage `judge`, and its policy.

A judge of engine openai names an endpoint and its model; one of a local engine names a `policy` of the study.
What is wrong is noted where it stands, whether a judge is used or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pipeline import judges as catalogue
from pipeline.errors import Problem, shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.lower.answers import Judge
from pipeline.plan.lower.demands import JudgeNamed
from pipeline.plan.lower.entry import validate_entry
from pipeline.plan.lower.policies import find_policy
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.levels import Problems
from pipeline.spec.problems import place_in, problems_of
from pipeline.stages.judge import JudgeConfig


def check_judges(resolver: Resolver) -> None:
    """Note what is wrong with judges that nothing uses, too."""
    for name in resolver.study.spec.judges:
        resolver.get(JudgeNamed(name))


def find_judge(resolver: Resolver, name: Any, path: PathTuple, *, kind: str | None = None) -> Judge | None:
    """The judge that a study names at `path`, of one kind of the catalogue; None after noting a problem."""
    declared, problems = resolver.study.spec.judges, resolver.problems
    if not isinstance(name, str) or name not in declared:
        if not problems.is_broken("judges", name):
            remedy = suggest(name, declared) if declared else "Declare it: judges: {NAME: {judge: …, …}}."
            problems.add(path, f"judge {shown(name)} is not declared in `judges`", remedy)
        return None
    judge = resolver.get(JudgeNamed(name))
    if judge is not None and kind is not None and judge.config.judge != kind:
        fitting = [other for other, words in declared.items() if words.get("judge") == kind]
        problems.add(
            path,
            f"judge {name!r} asks {judge.config.judge!r}, and {kind!r} is needed here",
            suggest(name, fitting) if fitting else f"Declare one: judges: {{NAME: {{judge: {kind}, …}}}}.",
        )
        return None
    return judge


def read_judge(resolver: Resolver, demand: JudgeNamed) -> Judge | None:
    """The rule of `JudgeNamed`."""
    name, problems = demand.name, resolver.problems
    words = dict(resolver.study.spec.judges[name])
    root: PathTuple = ("judges", name)
    policy = words.pop("policy", None)
    if not _has_valid_question(root, words, problems):
        return None
    try:
        config = JudgeConfig.model_validate(words)
    except ValidationError as error:
        locate = place_in(problems.document, root)
        label = f"judge {name!r}."
        problems.extend(
            problems_of(error, JudgeConfig, locate, words, where_known=label, also_known=("policy",))
        )
        return None
    if config.engine == "openai":
        if policy is None:
            return Judge(name, config)
        what = f"judge {name!r}: policy belongs to the engines transformers and vllm"
        problems.add((*root, "policy"), what, "Remove it, or the engine openai.", key=True)
        return None
    if not isinstance(policy, str):
        what = f"judge {name!r} with engine {config.engine} lacks the name of a policy"
        where = (*root, "policy") if policy is not None else root
        problems.add(where, what, "Name the policy that answers: policy: NAME.", key=True)
        return None
    key = find_policy(resolver, policy, (*root, "policy"))
    return None if key is None else Judge(name, config, key)


def _has_valid_question(root: PathTuple, words: Mapping[str, Any], problems: Problems) -> bool:
    """Whether `judge` and `params` fit the catalogue; a missing or mistyped `judge` is left to the model."""
    asked, params = words.get("judge"), words.get("params", {})
    if not isinstance(asked, str) or not isinstance(params, Mapping):
        return True
    place = place_in(problems.document, root)
    if asked not in catalogue.names():
        what = f"judge {asked!r} is unknown"
        problems.append(Problem(what, suggest(asked, catalogue.names()), place(("judge",), False)))
        return False
    return validate_entry(catalogue, "judge", asked, params, ("params",), place, problems) is not None
