"""The frozen plan: what a run executes from its first job to its last, whatever is edited meanwhile.

`results/plans/<fingerprint>.json` holds every artifact with its configuration, inputs and hints, the site's
values and the reports' requests; `results/plans/code/<digest>/` holds the package that jobs run.
Both are written once, atomically, and never changed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.errors import InputError, RefusedError
from pipeline.fingerprint import SCHEME
from pipeline.plan.artifact import Artifact
from pipeline.project import IS_INSTALLED, PACKAGE
from pipeline.site import Site
from pipeline.store.record import write_atomically

if TYPE_CHECKING:  # every job reads a frozen plan: none should wait for the planner's modules
    from pipeline.plan.compiled import Plan

FORMAT = 1
PLANS = "plans"


@dataclass(frozen=True)
class FrozenPlan:
    """A plan as jobs and Snakemake's rules see it; a thin reading of its JSON."""

    content: Mapping[str, Any]
    path: Path

    @functools.cached_property
    def site(self) -> Site:
        """The site's values when the run began."""
        return Site.model_validate(self.content["site"])

    @property
    def fingerprint(self) -> str:
        """The plan's name."""
        return self.path.stem

    @property
    def commit(self) -> str:
        """The commit of the code when the run began."""
        return self.content["commit"]

    @property
    def results(self) -> Path:
        """The folder of all artifacts."""
        return Path(self.content["site"]["results"])

    @property
    def code(self) -> Path:
        """The folder that holds the package that jobs run."""
        return (self.results / PLANS / "code" / self.content["code"]).absolute()

    def _entry(self, key: str) -> list[Any]:
        try:
            return self.content["artifacts"][key]
        except KeyError:
            raise InputError(
                f"the plan {self.fingerprint} has no artifact {key!r}", "Name a key that `studyc plan` lists."
            ) from None

    def _settled(self, key: str) -> Mapping[str, Any]:
        return self.content["configs"][self._entry(key)[0]]

    def stage(self, key: str) -> str:
        """The stage that makes an artifact."""
        return self._settled(key)["stage"]

    def folder(self, key: str) -> Path:
        """The folder of an artifact."""
        return self.results / self.stage(key) / key

    def config(self, key: str) -> Mapping[str, Any]:
        """An artifact's configuration, content and placement."""
        return self._settled(key)["config"]

    def title(self, key: str) -> str:
        """What an artifact is, in the study's words."""
        return self._entry(key)[3]

    def inputs(self, key: str) -> Mapping[str, list[str]]:
        """Role → keys."""
        return self._entry(key)[2]

    def input_keys(self, key: str) -> list[str]:
        """The keys of all inputs."""
        return [name for keys in self.inputs(key).values() for name in keys]

    def waits_for(self, key: str) -> list[str]:
        """The keys that a job must not start before: its inputs, and the job that samples on its behalf."""
        names = [name for keys in self._entry(key)[2].values() for name in keys]
        lead = self.lead(key)
        return [*names, lead] if lead else names

    def lead(self, key: str) -> str | None:
        """The job that samples on an artifact's behalf, if another one does."""
        return self._entry(key)[4].get("lead")

    def environment(self, key: str) -> str:
        """The environment of envs/ that an artifact's stage runs under."""
        return self._settled(key)["environment"]

    def identity(self, key: str) -> dict[str, Any]:
        """Stage, version, seed and fingerprint scheme for the record."""
        settled = self._settled(key)
        return {"stage": settled["stage"], "version": settled["version"], "seed": self._entry(key)[1], "scheme": SCHEME,
                "content": settled["identity"]}  # fmt: skip

    def job(self, key: str) -> dict[str, Any]:
        """The job file of an artifact."""
        _, seed, inputs, title, hints = self._entry(key)
        if self.stage(key) == "report":
            hints = {**hints, "request": self.content["requests"][key]}
        return {
            "key": key,
            "stage": self.stage(key),
            "config": self.config(key),
            "seed": seed,
            "inputs": {role: [str(self.folder(name)) for name in names] for role, names in inputs.items()},
            "folder": str(self.folder(key)),
            "title": title,
            "hints": {name: value for name, value in hints.items() if name != "lead"},
        }


def freeze(plan: Plan, site: Site) -> FrozenPlan:
    """The frozen form of a plan, in memory, with the path that it will have; `write_frozen` puts it there."""
    hints = _families(plan)
    artifacts = {
        key: [
            artifact.settled.index,
            artifact.seed,
            {role: list(keys) for role, keys in artifact.inputs},
            artifact.title,
            {**artifact.hints, **hints.get(key, {})},
        ]
        for key, artifact in plan.artifacts.items()
    }
    content = {
        "format": FORMAT,
        "scheme": SCHEME,
        "studies": [
            {"name": s.study.name, "spec": s.study.document.file, "report": s.report} for s in plan.studies
        ],
        "site": {**site.model_dump(mode="json"), "results": str(plan.results)},
        "configs": [_config_entry(settled) for settled in plan.settled],
        "artifacts": artifacts,
        "code": code_digest(),
        "commit": code_commit(),
    }
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return FrozenPlan(content, plan.results / PLANS / f"{name}.json")


def write_frozen(plan: Plan, frozen: FrozenPlan) -> None:
    """Put a frozen plan on disk, with the reports' requests and the package that its jobs will run."""
    refuse_unpinned(plan)
    snapshot_code(plan.results, frozen.content["code"])
    requests = {study.report: study.request().to_plain() for study in plan.studies}
    frozen.path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(frozen.path, json.dumps({**frozen.content, "requests": requests}))


def refuse_unpinned(plan: Plan) -> None:
    """Raise RefusedError where a hub name has no commit: a run of it could not be repeated."""
    if plan.unpinned:
        names = ", ".join(name for _, name in plan.unpinned[:5])
        more = f" and {len(plan.unpinned) - 5} more" if len(plan.unpinned) > 5 else ""
        raise RefusedError(
            f"hub names without a commit ({len(plan.unpinned)}): {names}{more}",
            "Run `studyc pin SPEC` where the hub can be reached, and commit the lock file.",
        )


@functools.lru_cache(maxsize=2)
def read_frozen(path: Path) -> FrozenPlan:
    """Read a frozen plan."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(
            f"there is no frozen plan {path}", "Start the run again; it freezes a new plan."
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not a frozen plan: {error}", "Start the run again.") from None
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: a frozen plan of another format", "Start the run again with this version.")
    return FrozenPlan(content, path)


def _config_entry(settled: Any) -> dict[str, Any]:
    config = settled.config.model_dump(mode="json")
    engine = config.get("engine", config.get("rollout_engine"))
    return {
        "stage": settled.stage,
        "version": settled.version,
        "config": config,
        "identity": json.loads(settled.identity),
        "environment": "vllm" if engine == "vllm" else "training",
    }


def _families(plan: Plan) -> dict[str, dict[str, Any]]:
    """Hints for sampling: of all missing samples of one policy, the first samples for the rest."""
    groups: dict[tuple[Any, ...], list[Artifact]] = {}
    for key in plan.to_run:
        artifact = plan.artifacts[key]
        if artifact.stage == "sample":
            config = artifact.settled.config
            policy = dict(artifact.inputs)["policy"]
            groups.setdefault((policy, config.engine, config.precision, config.gpus), []).append(artifact)
    hints: dict[str, dict[str, Any]] = {}
    for lead, *rest in groups.values():
        if rest:
            hints[lead.key] = {"family": [_sibling(plan, artifact) for artifact in rest]}
            hints.update({artifact.key: {"lead": lead.key} for artifact in rest})
    return hints


def _sibling(plan: Plan, artifact: Artifact) -> dict[str, Any]:
    problems = dict(artifact.inputs)["problems"][0]
    folder = plan.results / plan.artifacts[problems].stage / problems
    return {
        "key": artifact.key,
        "config": artifact.settled.config.model_dump(mode="json"),
        "seed": artifact.seed,
        "problems": str(folder),
        "folder": str(plan.results / "sample" / artifact.key),
    }


def _package_files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def code_digest() -> str:
    """The name of this package's content."""
    sha = hashlib.sha256()
    for path in _package_files():
        sha.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode() + path.read_bytes())
    return sha.hexdigest()[:12]


def snapshot_code(results: Path, name: str) -> None:
    """Copy the package into the results under the name of its content, unless it is there."""
    target = results / PLANS / "code" / name
    if target.is_dir():
        return
    scratch = target.with_name(f".{name}.{os.getpid()}")
    try:
        for path in _package_files():
            copy = scratch / PACKAGE.name / path.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        os.replace(scratch, target)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        if not target.is_dir():
            raise


def code_commit() -> str:
    """The commit of the code, with `+changes` where the working tree differs; `unknown` outside git.

    A wheel has no commit but a version; a repository that its environment may lie in is somebody else's.
    """
    if IS_INSTALLED:
        return f"v{__version__}"
    try:
        command = [
            "git",
            "-C",
            str(PACKAGE),
            "describe",
            "--always",
            "--abbrev=40",
            "--dirty=+changes",
            "--exclude=*",
        ]
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return found.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
