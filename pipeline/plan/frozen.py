"""The frozen plan: what a run executes from its first job to its last, whatever is edited meanwhile.

Every job reads one, so nothing of the planner is imported here; `pipeline.plan.freeze` writes it.

`results/plans/<fingerprint>.json` holds every artifact with its configuration, inputs and hints, where each configuration's
jobs run, the site's values and the reports' requests; `results/plans/code/<digest>/` holds the package that jobs run.
Both are written once, atomically, and never changed; a plan is read by no other code than the one beside it, so a
new format needs no reader of the old one.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.fingerprint import SCHEME
from pipeline.site import Site
from pipeline.stages import Placement
from pipeline.store.paths import artifact_path, code_path

FORMAT = 2

_BEGIN, _NEXT, _END = ',\n"artifacts": {\n', ",\n", "\n}}"
"""What stands around the lines of the artifacts in a file; JSON has no line break within a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenConfig:
    """A stage's configuration, shared by artifacts, and what the stage says of it."""

    stage: str
    version: int
    config: Mapping[str, Any]
    """Content and placement, as the stage's process validates them again."""
    identity: Mapping[str, Any]
    placement: Placement
    imports_torch: bool

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FrozenConfig:
        """The value that `asdict` made plain."""
        return cls(**{**plain, "placement": Placement(**plain["placement"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenArtifact:
    """One artifact to make."""

    config: int
    """Its place in the plan's configurations."""
    seed: int
    title: str
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Role → keys."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """What its job may know and no identity holds: steps to publish, siblings to serve with the same model."""
    lead: str | None = None
    """The job that does the work on its behalf, if another one does."""

    @property
    def input_keys(self) -> list[str]:
        """The keys of all inputs."""
        return [key for keys in self.inputs.values() for key in keys]

    def to_plain(self) -> dict[str, Any]:
        """What goes into the file: nothing that says nothing, for a plan may hold a hundred thousand."""
        plain = {"config": self.config, "seed": self.seed, "title": self.title, "inputs": self.inputs}
        if self.hints:
            plain["hints"] = self.hints
        if self.lead is not None:
            plain["lead"] = self.lead
        return plain


class _Artifacts(Mapping[str, FrozenArtifact]):
    """The artifacts of a file, each read when somebody asks for it: a job needs a few of a hundred thousand."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = {line[1 : line.index('"', 1)]: line for line in lines}
        self._typed: dict[str, FrozenArtifact] = {}

    def __getitem__(self, key: str) -> FrozenArtifact:
        if key not in self._typed:
            self._typed[key] = FrozenArtifact(**json.loads(self._lines[key].partition(": ")[2]))
        return self._typed[key]

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenStudy:
    """A study of a plan: its file and the artifact of its report."""

    name: str
    spec: str
    report: str


@dataclass(frozen=True, kw_only=True)
class FrozenPlan:
    """A plan as jobs and Snakemake's rules see it."""

    path: Path
    site: Site
    """The site's values when the run began; its results are the plan's."""
    configs: Sequence[FrozenConfig]
    artifacts: Mapping[str, FrozenArtifact]
    code: Path
    """The folder that holds the package that jobs run."""
    commit: str = "unknown"
    """The commit of the code when the run began."""
    studies: Sequence[FrozenStudy] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    """Stage → its line for people, in the order in which a study goes through them."""
    requests: Mapping[str, Any] = field(default_factory=dict)
    """Report's key → what it is asked to show; only in a plan that was written down."""

    @property
    def fingerprint(self) -> str:
        """The plan's name."""
        return self.path.stem

    @property
    def results(self) -> Path:
        """The folder of all artifacts."""
        return Path(self.site.results)

    def artifact(self, key: str) -> FrozenArtifact:
        """One artifact; InputError where the plan has none of this name."""
        try:
            return self.artifacts[key]
        except KeyError:
            raise InputError(
                f"the plan {self.fingerprint} has no artifact {key!r}", "Name a key that `studyc plan` lists."
            ) from None

    def settled(self, key: str) -> FrozenConfig:
        """The configuration of an artifact."""
        return self.configs[self.artifact(key).config]

    def stage(self, key: str) -> str:
        """The stage that makes an artifact."""
        return self.settled(key).stage

    def placement(self, key: str) -> Placement:
        """Where an artifact's job runs."""
        return self.settled(key).placement

    def folder(self, key: str) -> Path:
        """The folder of an artifact."""
        return artifact_path(self.results, self.stage(key), key)

    def is_heavy(self, key: str) -> bool:
        """Whether a job spends seconds on imports: by its stage, or for a tokenizer."""
        artifact = self.artifact(key)
        return self.configs[artifact.config].imports_torch or "policy" in artifact.inputs

    def waits_for(self, key: str) -> list[str]:
        """The keys that a job must not start before: its inputs, and the job that works on its behalf."""
        artifact = self.artifact(key)
        return artifact.input_keys if artifact.lead is None else [*artifact.input_keys, artifact.lead]

    def identity(self, key: str) -> dict[str, Any]:
        """Stage, version, seed and fingerprint scheme for the record."""
        settled = self.settled(key)
        return {
            "stage": settled.stage,
            "version": settled.version,
            "seed": self.artifact(key).seed,
            "scheme": SCHEME,
            "content": settled.identity,
        }

    def job(self, key: str) -> dict[str, Any]:
        """The job file of an artifact."""
        artifact, settled = self.artifact(key), self.settled(key)
        request = {"request": self.requests[key]} if key in self.requests else {}
        return {
            "key": key,
            "stage": settled.stage,
            "config": settled.config,
            "seed": artifact.seed,
            "inputs": {
                role: [str(self.folder(name)) for name in names] for role, names in artifact.inputs.items()
            },
            "folder": str(self.folder(key)),
            "title": artifact.title,
            "hints": {**artifact.hints, **request},
        }

    def to_text(self) -> str:
        """The file's text: JSON, with one artifact a line, so that a job need not parse those of others."""
        head = {
            "format": FORMAT,
            "scheme": SCHEME,
            "studies": [asdict(study) for study in self.studies],
            "site": self.site.model_dump(mode="json"),
            "rules": self.rules,
            "configs": [asdict(settled) for settled in self.configs],
            "code": self.code.name,
            "commit": self.commit,
            "requests": self.requests,
        }
        lines = [f'"{key}": {json.dumps(artifact.to_plain())}' for key, artifact in self.artifacts.items()]
        return f"{json.dumps(head)[:-1]}{_BEGIN}{_NEXT.join(lines)}{_END}"


@functools.lru_cache(maxsize=2)
def read_frozen(path: Path) -> FrozenPlan:
    """Read a frozen plan."""
    try:
        head, begin, lines = path.read_text().partition(_BEGIN)
        content = json.loads(f"{head}}}" if begin else head)
    except FileNotFoundError:
        raise InputError(
            f"there is no frozen plan {path}", "Start the run again; it freezes a new plan."
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not a frozen plan: {error}", "Start the run again.") from None
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: a frozen plan of another format", "Start the run again with this version.")
    if not lines.endswith(_END):
        raise InputError(f"{path}: not a frozen plan: its end is missing", "Start the run again.")
    results = Path(content["site"]["results"])
    return FrozenPlan(
        path=path,
        site=Site.model_validate(content["site"]),
        configs=[FrozenConfig.from_plain(plain) for plain in content["configs"]],
        artifacts=_Artifacts(lines.removesuffix(_END).split(_NEXT)),
        code=code_path(results, content["code"]).absolute(),
        commit=content["commit"],
        studies=[FrozenStudy(**plain) for plain in content["studies"]],
        rules=content["rules"],
        requests=content["requests"],
    )
