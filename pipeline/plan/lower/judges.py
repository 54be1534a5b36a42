"""The judges of a study: `judges: {NAME: {judge: …, engine: …}}` → the configuration of stage `judge`, and its policy.

A judge of engine openai names an endpoint and its model; one of a local engine names a `policy` of the study, whose
key the planner supplies. Each judge is resolved once; what is wrong is noted where it stands, used or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline import judges as catalogue
from pipeline.errors import Problem, shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.lower.recipes import validate_entry
from pipeline.spec.levels import Problems
from pipeline.spec.problems import place_in, problems_of
from pipeline.spec.study import Study
from pipeline.stages.judge import JudgeConfig

PolicyKey = Callable[[str, PathTuple], str | None]
"""(name of a policy, where the study names it) → its key; None after noting what is wrong with the name."""


@dataclass(frozen=True)
class Judge:
    """A resolved judge: what it is called in the study, its configuration, and the policy that answers, if any."""

    name: str
    config: JudgeConfig
    policy: str | None = None

    def inputs(self, role: str, key: str) -> dict[str, tuple[str, ...]]:
        """The inputs of its artifact over one artifact of role `completions` or `rows`."""
        return {role: (key,), **({"policy": (self.policy,)} if self.policy is not None else {})}


class Judges:
    """Resolves the judges of one study by name; problems are collected, not raised."""

    def __init__(self, study: Study, problems: Problems, policy_key: PolicyKey) -> None:
        self.study = study
        self.problems = problems
        self._policy_key = policy_key
        self._known: dict[str, Judge | None] = {}

    def check_all(self) -> None:
        """Resolve every judge, so that one that nothing uses is checked, too."""
        for name in self.study.spec.judges:
            self._resolve(name)

    def find(self, name: Any, path: PathTuple, *, kind: str | None = None) -> Judge | None:
        """The judge that a study names at `path`, of one kind of the catalogue; None after noting a problem."""
        declared = self.study.spec.judges
        if not isinstance(name, str) or name not in declared:
            if not self.problems.is_broken("judges", name):
                remedy = suggest(name, declared) if declared else "Declare it: judges: {NAME: {judge: …, …}}."
                self.problems.add(path, f"judge {shown(name)} is not declared in `judges`", remedy)
            return None
        judge = self._resolve(name)
        if judge is not None and kind is not None and judge.config.judge != kind:
            fitting = [other for other, words in declared.items() if words.get("judge") == kind]
            self.problems.add(
                path,
                f"judge {name!r} asks {judge.config.judge!r}, and {kind!r} is needed here",
                suggest(name, fitting)
                if fitting
                else f"Declare one: judges: {{NAME: {{judge: {kind}, …}}}}.",
            )
            return None
        return judge

    def _resolve(self, name: str) -> Judge | None:
        if name not in self._known:
            self._known[name] = self._read(name, dict(self.study.spec.judges[name]))
        return self._known[name]

    def _read(self, name: str, words: dict[str, Any]) -> Judge | None:
        root = ("judges", name)
        policy = words.pop("policy", None)
        if not self._has_valid_question(root, words):
            return None
        try:
            config = JudgeConfig.model_validate(words)
        except ValidationError as error:
            locate = place_in(self.problems.document, root)
            label = f"judge {name!r}."
            self.problems.extend(
                problems_of(error, JudgeConfig, locate, words, where_known=label, also_known=("policy",))
            )
            return None
        if config.engine == "openai":
            if policy is None:
                return Judge(name, config)
            what = f"judge {name!r}: policy belongs to the engines transformers and vllm"
            self.problems.add((*root, "policy"), what, "Remove it, or the engine openai.", key=True)
            return None
        if not isinstance(policy, str):
            what = f"judge {name!r} with engine {config.engine} lacks the name of a policy"
            where = (*root, "policy") if policy is not None else root
            self.problems.add(where, what, "Name the policy that answers: policy: NAME.", key=True)
            return None
        key = self._policy_key(policy, (*root, "policy"))
        return None if key is None else Judge(name, config, key)

    def _has_valid_question(self, root: PathTuple, words: Mapping[str, Any]) -> bool:
        """Whether `judge` and `params` fit the catalogue; a missing or mistyped `judge` is left to the model."""
        asked, params = words.get("judge"), words.get("params", {})
        if not isinstance(asked, str) or not isinstance(params, Mapping):
            return True
        place = place_in(self.problems.document, root)
        if asked not in catalogue.names():
            what = f"judge {asked!r} is unknown"
            self.problems.append(Problem(what, suggest(asked, catalogue.names()), place(("judge",), False)))
            return False
        found = validate_entry(catalogue, "judge", asked, params, ("params",), place, self.problems)
        return found is not None
