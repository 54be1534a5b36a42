"""Plan → frozen plan: where each configuration's jobs run, who serves whom with a loaded model, the code of the jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.errors import RefusedError
from pipeline.fingerprint import digest
from pipeline.plan.artifact import Artifact, Settled
from pipeline.plan.compiled import Plan
from pipeline.plan.frozen import FrozenArtifact, FrozenConfig, FrozenPlan, FrozenStudy
from pipeline.plan.snapshot import code_commit, code_digest, snapshot_code
from pipeline.site import Site
from pipeline.stages import in_order, load
from pipeline.store.atomic import write_atomically
from pipeline.store.paths import code_path, plan_path


def freeze(plan: Plan, site: Site) -> FrozenPlan:
    """The frozen form of a plan, in memory, with the path that it will have; `write_frozen` puts it there."""
    families = _share_models(plan)
    leads = {sibling.key: lead for lead, siblings in families.items() for sibling in siblings}
    artifacts = {
        key: FrozenArtifact(
            config=artifact.settled.index,
            seed=artifact.seed,
            title=artifact.title,
            inputs=dict(artifact.inputs),
            hints=_hints(plan, artifact, families.get(key, ())),
            lead=leads.get(key),
        )
        for key, artifact in plan.artifacts.items()
    }
    frozen = FrozenPlan(
        path=plan_path(plan.results, "unnamed"),
        site=site.model_copy(update={"results": str(plan.results)}),
        configs=[_freeze_config(settled) for settled in plan.settled],
        artifacts=artifacts,
        code=code_path(plan.results, code_digest()).absolute(),
        commit=code_commit(),
        studies=[
            FrozenStudy(name=study.study.name, spec=study.study.document.file, report=study.report)
            for study in plan.studies
        ],
        rules={stage.name: stage.summary for stage in in_order()},
    )
    return replace(frozen, path=frozen.path.with_stem(digest(frozen.to_text())))


def write_frozen(plan: Plan, frozen: FrozenPlan) -> None:
    """Put a frozen plan on disk, with the reports' requests and the package that its jobs will run."""
    refuse_unpinned(plan)
    snapshot_code(plan.results, frozen.code.name)
    requests = {study.report: study.request().to_plain() for study in plan.studies}
    frozen.path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(frozen.path, replace(frozen, requests=requests).to_text())


def refuse_unpinned(plan: Plan) -> None:
    """Raise RefusedError where a hub name has no commit: a run of it could not be repeated."""
    if plan.unpinned:
        names = ", ".join(name for _, name in plan.unpinned[:5])
        more = f" and {len(plan.unpinned) - 5} more" if len(plan.unpinned) > 5 else ""
        raise RefusedError(
            f"hub names without a commit ({len(plan.unpinned)}): {names}{more}",
            "Run `studyc pin SPEC` where the hub can be reached, and commit the lock file.",
        )


def _freeze_config(settled: Settled) -> FrozenConfig:
    stage = load(settled.stage)
    return FrozenConfig(
        stage=settled.stage,
        version=settled.version,
        config=settled.config.model_dump(mode="json"),
        identity=json.loads(settled.identity),
        placement=stage.place(settled.config),
        imports_torch=stage.imports_torch,
    )


def _share_models(plan: Plan) -> dict[str, list[Artifact]]:
    """Of all missing artifacts that one loaded policy can serve, the first → the others."""
    sharing = [load(settled.stage).shares_model for settled in plan.settled]
    groups: dict[tuple[Any, ...], list[Artifact]] = {}
    for key in plan.to_run:
        artifact = plan.artifacts[key]
        shares = sharing[artifact.settled.index]
        if shares is not None:
            policy = dict(artifact.inputs)["policy"]
            groups.setdefault((artifact.stage, policy, shares(artifact.settled.config)), []).append(artifact)
    return {first.key: rest for first, *rest in groups.values() if rest}


def _hints(plan: Plan, artifact: Artifact, siblings: Sequence[Artifact]) -> Mapping[str, Any]:
    """What an artifact's job is told beside its definition: what the plan noted, and whom it works for."""
    if not siblings:
        return artifact.hints
    return {**artifact.hints, "family": [_sibling(plan, sibling) for sibling in siblings]}


def _sibling(plan: Plan, artifact: Artifact) -> dict[str, Any]:
    return {
        "key": artifact.key,
        "config": artifact.settled.config.model_dump(mode="json"),
        "seed": artifact.seed,
        "inputs": {role: [str(plan.folder(key)) for key in keys] for role, keys in artifact.inputs},
        "folder": str(plan.folder(artifact.key)),
    }
