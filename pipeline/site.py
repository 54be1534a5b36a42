"""The site file: what this machine or cluster calls things; the one place for a site's values.

On a cluster it is the profile's `configfile` (profiles/<name>/site.yaml); where Snakemake was given none, it is
envs/site.yaml here, or else the one that came with studyc. All of it is placement: nothing here ever changes an
artifact's identity.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from pipeline import project, stages
from pipeline.errors import Location, Problem, SpecErrors, suggest
from pipeline.locate import Document, PathTuple, read_yaml
from pipeline.store.job import QUIET

DEFAULT = Path("envs/site.yaml")

MADE = {"training": ".venv/bin/python", "vllm": ".venv-vllm/bin/python"}
"""What `make env` and `make env-vllm` make in a clone, as the site files that come with studyc name it."""

CONTROL_KEYS = ("study", "studies", "site", "plan")
"""Keys of Snakemake's config that name studies and are no site values."""


class SiteModel(BaseModel):
    """Strict, frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Environment(SiteModel):
    """How a stage's interpreter is reached."""

    python: str = Field(description="Interpreter; relative paths count from the project's folder.")
    setup: str = Field(
        "", description="Shell line run before it, e.g. `module load cuda`; written by the site, trusted."
    )


class StageResources(SiteModel):
    """What one job of a stage asks for, beyond what its configuration says."""

    partition: str | None = Field(None, description="Partition; `partitions` decides when absent.")
    cpus: int = Field(1, description="CPU cores of one job.", ge=1)
    mem_mb: int = Field(2_000, description="Memory of one job.", ge=1)
    runtime_minutes: int = Field(
        60, description="Time limit of the first attempt; each retry doubles it.", ge=1
    )


class Partitions(SiteModel):
    """Where jobs with and without GPUs go."""

    cpu: str | None = Field(
        None, description="Partition of jobs without GPUs; the cluster's default when absent."
    )
    gpu: str | None = Field(None, description="Partition of jobs with GPUs.")


class ClusterModel(SiteModel):
    """What the cluster offers, for `studyc plan --site`: what a study would cost there."""

    gpu: str = Field(description="GPUs of a node: a name of pipeline/gpus/, e.g. H100.")
    nodes: int = Field(1, description="Nodes that a study may use at once.", ge=1)
    node_gpus: int | None = Field(
        None, description="GPUs of a node; as usual for that GPU when absent.", ge=1
    )
    price_per_gpu_hour: float | None = Field(None, description="Price of a GPU-hour, in dollars.", ge=0)
    fabric_gb_s: float | None = Field(
        None, description="GB/s between two nodes, all links together; a wide prior when absent.", gt=0
    )


class Site(SiteModel):
    """Everything that depends on where a study runs."""

    results: str = Field("results", description="Folder of all artifacts.")
    environments: dict[str, Environment] = Field({}, description="Interpreters by name: training, vllm.")
    stages: dict[str, StageResources] = Field({}, description="Resources by stage; `default` for the rest.")
    partitions: Partitions = Field(Partitions(), description="Partitions by kind of job.")
    cluster: ClusterModel | None = Field(
        None, description="GPUs, nodes and prices, for `studyc plan --site FILE`; nothing runs differently."
    )
    gpu_type: str | None = Field(None, description="GPU type as the cluster's GRES names it, e.g. h100.")
    account: str | None = Field(None, description="Account that jobs are charged to.")
    max_runtime_minutes: int = Field(2_880, description="Longest time limit that the cluster admits.", ge=1)
    local_stages: list[str] = Field(
        [], description="Stages that run where Snakemake runs, never on the cluster."
    )
    warning_seconds: int = Field(
        0, description="A job is told this long before its time limit; 0: never.", ge=0
    )
    sbatch_options: str = Field(
        "", description="Further options of sbatch, e.g. `--qos=long --constraint=a100`."
    )
    threads: int = Field(1, description="OMP_NUM_THREADS of a CPU job.", ge=1)
    environment_variables: dict[str, str] = Field({}, description="Set for every stage, e.g. HF_HOME.")
    warm_start: bool = Field(
        True,
        description="Fork CPU jobs that run beside Snakemake from one process that has imported torch already.",
    )

    @field_validator("stages", "local_stages")
    @classmethod
    def _names_stages(cls, named: Collection[str], info: ValidationInfo) -> Collection[str]:
        known = (*stages.names(), *(["default"] if info.field_name == "stages" else []))
        for name in named:
            if name not in known:
                raise ValueError(f"there is no stage {name!r}\n{suggest(name, known)}")
        return named

    def resources(self, stage: str) -> StageResources:
        """The resources of a stage."""
        return self.stages.get(stage) or self.stages.get("default") or StageResources()

    def interpreter(self, environment: str) -> tuple[str, str]:
        """The interpreter of an environment and its set-up line; our own where the site names none."""
        found = self.environments.get(environment)
        if found is None:
            return sys.executable, ""
        python = Path(os.path.expandvars(found.python)).expanduser()
        return str(python if python.is_absolute() else Path.cwd() / python), found.setup

    def stage_environment(self, code: Path) -> dict[str, str]:
        """The environment variables of a stage's process, with the package of the plan's snapshot."""
        threads = str(self.threads)
        return {
            **os.environ,
            **QUIET,
            **{f"{name}_NUM_THREADS": threads for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")},
            "POLARS_MAX_THREADS": threads,
            "PYTHONPATH": str(code),
            "PYTHONUNBUFFERED": "1",
            **self.environment_variables,
        }

    def command(self, environment: str, arguments: list[str]) -> list[str]:
        """The words of a command under an environment; the set-up line runs in a shell, nothing else does."""
        python, setup = self.interpreter(environment)
        words = [python, *arguments]
        if not setup:
            return words
        return ["bash", "-c", f"{setup}\nexec {shlex.join(words)}"]


def default_site_file() -> Path:
    """The site file where no profile brings one: the one here, or else the one that came with studyc."""
    return DEFAULT if DEFAULT.is_file() else project.FILES / DEFAULT


def _values_of(document: Document) -> dict[str, Any]:
    """A file's values as Snakemake would hand them over: sequences are lists."""
    found = document.value
    if found is None:
        return {}
    if not isinstance(found, dict):
        where = Location(document.file, 1, 1)
        raise SpecErrors(
            [Problem("a site file is a mapping", "Write keys such as `results: results`.", where)]
        )
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def read_site_file(path: Path) -> Site:
    """The site of a file that somebody names; SpecErrors where its values do not fit."""
    from pipeline.spec.problems import place_in, problems_of

    document = read_yaml(path)
    values = {key: value for key, value in _values_of(document).items() if key not in CONTROL_KEYS}
    try:
        return Site.model_validate(values)
    except ValidationError as error:
        raise SpecErrors(problems_of(error, Site, place_in(document), values, where_known="site.")) from None


def read_site(config: Mapping[str, Any]) -> Site:
    """The site of a Snakemake configuration, or the default file's; SpecErrors where values do not fit."""
    # Every job holds a site, which was settled when its plan was frozen: none should wait for the spec's words.
    from pipeline.spec.problems import place_in, problems_of

    default = default_site_file()
    values = {key: value for key, value in config.items() if key not in CONTROL_KEYS}
    somewhere = Location("the profile's site file", 1, 1)
    locate: Callable[[PathTuple, bool], Location] = lambda path, is_key: somewhere
    if not set(values) - {"results"} and default.is_file():
        document = read_yaml(default)
        values = {**_values_of(document), **values}
        locate = place_in(document)
    try:
        site = Site.model_validate(values)
    except ValidationError as error:
        raise SpecErrors(problems_of(error, Site, locate, values, where_known="site.")) from None
    return site if project.is_project(Path.cwd()) else _outside_a_clone(site)


def _outside_a_clone(site: Site) -> Site:
    """What `make env` makes in a clone is not here: take that of the clone we run from, or else our own interpreter."""
    environments = dict(site.environments)
    for name, environment in environments.items():
        if environment.python == MADE.get(name) and not Path(environment.python).exists():
            made = project.FILES / environment.python
            python = str(made) if made.exists() else sys.executable
            environments[name] = environment.model_copy(update={"python": python})
    return site.model_copy(update={"environments": environments})
