"""What the Snakefile asks for: the plan of this invocation and, per artifact, inputs, resources and command.

The first Snakemake process compiles the specs named in its config and, unless it is a dry run, freezes the
plan. Every further process (a job on a cluster parses the Snakefile again) reads the frozen plan named in
STUDYC_PLAN, so an edit of a spec during a run changes nothing in that run.

Artifacts that have a record are leaves here: they have no inputs, and nothing about them can make Snakemake
run them again. All other inputs are `ancient`: an artifact's name says what is in it, its age says nothing.
"""

from __future__ import annotations

import atexit
import functools
import gc
import inspect
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pipeline.backend.warm.client import WORTHWHILE, start_server
from pipeline.errors import RefusedError, StudyError
from pipeline.plan.compiled import Plan, compile_plan
from pipeline.plan.freeze import freeze, write_frozen
from pipeline.plan.frozen import FrozenPlan, read_frozen
from pipeline.site import Site, read_site
from pipeline.store.attempts import failure_of
from pipeline.store.paths import benchmark_text, job_log_text, record_text

PLAN_VARIABLE = "STUDYC_PLAN"
CODE_VARIABLE = "STUDYC_CODE"
AGAIN_VARIABLE = "STUDYC_AGAIN"
"""Set where finished work is forced to run again; Snakemake's processes inside cluster jobs read it, too."""

TRIGGERS = {"mtime"}


def load(workflow: Any, config: Mapping[str, Any]) -> Workflow:
    """The workflow of this Snakemake process; ends it with a plain message where the study has errors."""
    try:
        if workflow.is_main_process:
            return _compile(workflow, config)
        signal.signal(
            signal.SIGUSR1, signal.SIG_IGN
        )  # SLURM's warning is for the stage; it would end Snakemake
        if AGAIN_VARIABLE not in os.environ:
            _keep_records()
        return Workflow(read_frozen(Path(os.environ[PLAN_VARIABLE])))
    except StudyError as error:
        _stop(error)


def _compile(workflow: Any, config: Mapping[str, Any]) -> Workflow:
    gc.set_threshold(50_000, 20, 100)  # Snakemake's graph only grows: look through it less often
    site = read_site(config)
    plan = compile_plan(spec_paths(config), results=Path(site.results))
    frozen = freeze(plan, site)
    os.environ[PLAN_VARIABLE] = str(frozen.path)
    os.environ[CODE_VARIABLE] = str(frozen.code)
    return Workflow(frozen, plan, workflow)


def _keep_records() -> None:
    """Have Snakemake leave records alone; what another run has finished since this one drew its graph stays done.

    Snakemake removes a job's output before it starts the job. (Its flag `update` would keep a record as well, but
    copies it and puts the copy back when a job fails: a record of files that are no longer there.)
    """
    from snakemake.jobs import Job

    async def remove_logs(job: Any) -> None:
        for log in job.log:
            await log.remove(remove_non_empty_dir=False)

    Job.remove_existing_output = remove_logs


def spec_paths(config: Mapping[str, Any]) -> list[Path]:
    """The spec files of `--config study=A.yaml` or `studies="A.yaml B.yaml"` (space or comma)."""
    named = config.get("studies", config.get("study"))
    words = named.replace(",", " ").split() if isinstance(named, str) else named
    if not words or not all(isinstance(word, str) for word in words):
        raise RefusedError(
            "no study is named", "Add --config study=specs/demo.yaml (or studies='a.yaml b.yaml')."
        )
    return [Path(word) for word in words]


def _print_counts(plan: Plan) -> None:
    from pipeline.plan.text import counts_table

    print(counts_table(plan), flush=True)


def _stop(error: StudyError) -> NoReturn:
    print(f"{error}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code)


class _of_jobs:
    """A method that Snakemake calls for each job, handed over as a function that states its signature.

    Snakemake asks every function for its signature several times a job; working it out anew for bound methods
    was a fifth of a dry run under the profiler.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method

    def __set_name__(self, _: type, name: str) -> None:
        self.name = name

    def __get__(self, workflow: Workflow, _: type | None = None) -> Callable[..., Any]:
        method = self.method

        def of_job(*given: Any, **named: Any) -> Any:
            return method(workflow, *given, **named)

        parameters = list(inspect.signature(method).parameters.values())[1:]
        of_job.__dict__["__signature__"] = inspect.Signature(parameters)
        workflow.__dict__[self.name] = of_job  # found before this descriptor from now on
        return of_job


class Workflow:
    """A plan in Snakemake's terms; methods take a stage, or a job's wildcards."""

    def __init__(self, plan: FrozenPlan, compiled: Plan | None = None, snakemake: Any = None) -> None:
        self.plan = plan
        self._compiled = compiled
        """What is not on disk yet: None from the moment at which the graph is built."""
        self._snakemake = snakemake
        self._done: frozenset[str] = compiled.done if compiled is not None else frozenset()
        self._record_of = functools.cache(self._record_path)
        self._words = self._command_words()

    def targets(self, _: Any) -> list[str]:
        """The records of the studies' reports."""
        self._prepare()
        return [self._record_of(study.report) for study in self.plan.studies]

    def _prepare(self) -> None:
        """When the graph is built: refuse triggers that re-run finished work; put the plan on disk, or print it.

        (While the Snakefile is read, Snakemake does not know yet whether this is a dry run.)
        """
        compiled, self._compiled = self._compiled, None
        if compiled is None:
            return
        try:
            self._refuse_triggers()
            if self._snakemake.executor_plugin is None:
                return
            if self._snakemake.dryrun:
                atexit.register(_print_counts, compiled)
                return
            write_frozen(compiled, self.plan)
            self._warm_up(compiled)
        except (StudyError, OSError) as error:
            _stop(failure_of(error, self.plan.results))
        settings = self._snakemake.dag_settings
        if settings.forceall or settings.forcerun or settings.forcetargets:
            self._done = frozenset()
            os.environ[AGAIN_VARIABLE] = "1"
        else:
            _keep_records()

    def _warm_up(self, compiled: Plan) -> None:
        """Start the server that CPU jobs are forked from, where enough of them will run beside this process."""
        jobs = [
            key
            for key in compiled.to_run
            if self.plan.is_heavy(key)
            and not self.plan.placement(key).gpus
            and self.plan.artifact(key).lead is None
        ]
        is_local = self._snakemake.executor_plugin.common_settings.local_exec
        if is_local and self.site.warm_start and len(jobs) >= WORTHWHILE:
            start_server(self.site.stage_environment(self.plan.code))

    def _refuse_triggers(self) -> None:
        triggers = {str(trigger) for trigger in self._snakemake.rerun_triggers}
        if not triggers <= TRIGGERS:
            raise RefusedError(
                f"Snakemake's re-run triggers are {', '.join(sorted(triggers))}: finished work would run again",
                "Use a profile of this project, or add `rerun-triggers: mtime` to yours.",
            )

    @property
    def stages(self) -> list[str]:
        """The stages, one rule each, in the order in which a study goes through them."""
        return list(self.plan.rules)

    def describe_rules(self, snakemake: Any) -> None:
        """Give each stage's rule its line for people: a loop over stages has no place for docstrings."""
        for rule in snakemake.rules:
            rule.docstring = self.plan.rules.get(rule.name)

    def record(self, stage: str) -> str:
        """The output pattern of a stage's rule."""
        return record_text(self.plan.results, stage, "{key}")

    def log(self, stage: str) -> str:
        """The log pattern of a stage's rule (erased on retries; work/attempts/ keeps every attempt)."""
        return job_log_text(self.plan.results, stage, "{key}")

    def benchmark(self, stage: str) -> str:
        """The benchmark pattern of a stage's rule."""
        return benchmark_text(self.plan.results, stage, "{key}")

    @_of_jobs
    def inputs(self, wildcards: Any) -> list[Any]:
        """The records that a job waits for; none for a finished artifact."""
        from snakemake.io import ancient  # Snakemake is absent where only the planner runs

        self._prepare()
        key = wildcards.key
        if key in self._done or key not in self.plan.artifacts:
            return []
        return [ancient(self._record_of(name)) for name in self.plan.waits_for(key)]

    @_of_jobs
    def title(self, wildcards: Any) -> str:
        """What the job makes, in the study's words."""
        return self.plan.artifact(wildcards.key).title

    @_of_jobs
    def command(self, wildcards: Any) -> str:
        """The shell command of a job; every word is quoted, and none comes from a spec."""
        return f"{self._words} {shlex.quote(wildcards.key)}"

    def threads(self, stage: str) -> int:
        """CPU cores of a stage's jobs."""
        return self.site.resources(stage).cpus

    def resources(self, stage: str) -> dict[str, Any]:
        """What a stage's jobs ask for: a value where all agree, a function of the job elsewhere, no entry for nothing."""
        asked = self.site.resources(stage)
        uses_gpus = any(c.stage == stage and c.placement.gpus for c in self.plan.configs)
        found = {
            "cpus_per_task": asked.cpus,
            "mem_mb": asked.mem_mb,
            "runtime": self.runtime,
            "gres": self.gres if uses_gpus else None,
            "slurm_partition": asked.partition or (self.partition if uses_gpus else self.site.partitions.cpu),
            "slurm_account": self.site.account,
            "slurm_extra": self._slurm_extra(),
        }
        return {name: value for name, value in found.items() if value is not None}

    @_of_jobs
    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Minutes of a job: doubled on each retry, up to the site's limit."""
        first = self.site.resources(self.plan.stage(wildcards.key)).runtime_minutes
        return min(first << (attempt - 1), self.site.max_runtime_minutes)

    @_of_jobs
    def partition(self, wildcards: Any) -> str | None:
        """SLURM partition of a job with or without GPUs; None leaves it to the cluster."""
        partitions = self.site.partitions
        return partitions.gpu if self.plan.placement(wildcards.key).gpus else partitions.cpu

    @_of_jobs
    def gres(self, wildcards: Any) -> str | None:
        """SLURM generic resources of a job: GPUs; None for a CPU job."""
        gpus = self.plan.placement(wildcards.key).gpus
        if not gpus:
            return None
        return ":".join(["gpu", *([self.site.gpu_type] if self.site.gpu_type else []), str(gpus)])

    def _slurm_extra(self) -> str | None:
        """Further words for sbatch: the warning before the time limit, and the site's own options."""
        warning = [f"--signal=USR1@{self.site.warning_seconds}"] if self.site.warning_seconds else []
        return " ".join([*warning, *self.site.sbatch_options.split()]) or None

    def is_local(self, stage: str) -> bool:
        """Whether a stage's jobs run beside Snakemake, by the site's choice."""
        return stage in self.site.local_stages

    @property
    def site(self) -> Site:
        """The site's values."""
        return self.plan.site

    def _record_path(self, key: str) -> str:
        return record_text(str(self.plan.results), self.plan.stage(key), key)

    def _command_words(self) -> str:
        words = ["env", f"PYTHONPATH={self.plan.code}", "PYTHONSAFEPATH=1"]
        return shlex.join([*words, sys.executable, "-m", "pipeline.backend.job_process", str(self.plan.path)])
