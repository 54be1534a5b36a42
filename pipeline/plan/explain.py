"""Why an artifact would or would not run: its identity, its inputs, the nearest finished one and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import InputError
from pipeline.plan.artifact import Artifact, fingerprint_payload
from pipeline.plan.compiled import Plan
from pipeline.plan.status import command_alone
from pipeline.store.attempts import last_words, newest_log
from pipeline.store.record import list_done, read_record

MAX_COMPARED = 2_000
"""Finished artifacts of the stage that are looked at for the nearest one."""


@dataclass(frozen=True)
class Explanation:
    """An artifact's story."""

    key: str
    stage: str
    title: str
    verdict: str
    identity: Mapping[str, Any]
    inputs: tuple[tuple[str, str, str], ...]
    nearest: str | None = None
    changes: tuple[tuple[str, Any, Any], ...] = ()
    needed_by: tuple[str, ...] = ()
    last_words: tuple[str, ...] = field(default=())
    command: str = ""


def find_artifact(plan: Plan, name: str) -> Artifact:
    """The artifact of a key, of a fingerprint, or of a beginning of either that fits only one."""
    fits = fitting(plan, name)
    if len(fits) == 1:
        return plan.artifacts[fits[0]]
    if fits:
        raise InputError(
            f"{name!r} fits {len(fits)} artifacts", f"Write more of it, e.g. {fits[0]} or {fits[1]}."
        )
    files = " ".join(study.study.document.file for study in plan.studies)
    raise InputError(
        f"no artifact of {files} is called {name!r}",
        f"`studyc plan {files} --json` lists them; the first digits of a fingerprint are enough.",
    )


def fitting(plan: Plan, name: str) -> list[str]:
    """The keys that a key, a fingerprint or a beginning of either may stand for."""
    if name in plan.artifacts:
        return [name]
    return [key for key in plan.artifacts if key[-12:].startswith(name) or key.startswith(name)]


def explain(plan: Plan, name: str) -> Explanation:
    """Explain one artifact of a plan."""
    artifact = find_artifact(plan, name)
    key = artifact.key
    payload = flatten(fingerprint_payload(artifact.settled, artifact.seed, artifact.inputs))
    shown = {k: v for k, v in payload.items() if not k.startswith("inputs.")}
    nearest, changes = (None, ()) if key in plan.done else _nearest(plan, artifact, payload)
    return Explanation(
        key=key,
        stage=artifact.stage,
        title=artifact.title,
        verdict=_verdict(plan, key),
        identity=shown,
        inputs=tuple(
            (role, k, "done" if k in plan.done else "not done")
            for role, keys in artifact.inputs
            for k in keys
        ),
        nearest=nearest,
        changes=changes,
        needed_by=tuple(k for k, other in plan.artifacts.items() if key in other.input_keys),
        last_words=last_words(newest_log(plan.folder(key))) if key not in plan.done else (),
        command="" if key in plan.done else command_alone(plan, key),
    )


def _verdict(plan: Plan, key: str) -> str:
    if key in plan.done:
        return "would not run: it is done, and nothing that decides its content has changed"
    if key in plan.to_run:
        return f"would run: {plan.to_run[key]}"
    if not any(key in other.input_keys for other in plan.artifacts.values()):
        return "would not run: nothing needs it"
    return "would not run: everything that needs it is done"


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values as dotted names."""
    if isinstance(value, Mapping) and value:
        return {k: v for name, item in value.items() for k, v in flatten(item, f"{prefix}{name}.").items()}
    if isinstance(value, list) and value and any(isinstance(item, (Mapping, list)) for item in value):
        return {k: v for i, item in enumerate(value) for k, v in flatten(item, f"{prefix}{i}.").items()}
    return {prefix.rstrip("."): value}


def _nearest(
    plan: Plan, artifact: Artifact, payload: Mapping[str, Any]
) -> tuple[str | None, tuple[tuple[str, Any, Any], ...]]:
    """The finished artifact of the same stage with the fewest differences, and those differences."""
    best: tuple[int, str, tuple[tuple[str, Any, Any], ...]] | None = None
    for folder in list_done(plan.results, artifact.stage)[:MAX_COMPARED]:
        try:
            record = read_record(folder)
        except InputError:
            continue
        inputs = {role: [k[-12:] for k in keys] for role, keys in record.get("inputs", {}).items()}
        other = flatten({
            "scheme": record.get("scheme"), "stage": record.get("stage"), "version": record.get("version"),
            "config": record.get("content", {}), "inputs": inputs, "seed": record.get("seed"),
        })  # fmt: skip
        names = [name for name in {**other, **payload} if other.get(name) != payload.get(name)]
        if best is None or len(names) < best[0]:
            changes = tuple(
                (name, other.get(name, "default"), payload.get(name, "default")) for name in names
            )
            best = (len(names), folder.name, changes)
    if best is None or best[0] > 6:
        return None, ()
    return best[1], best[2]
