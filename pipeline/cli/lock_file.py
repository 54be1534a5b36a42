"""What `studyc pin` does: ask the hub for today's commit of every name, write the lock file beside the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import InputError
from pipeline.plan.compiled import Plan
from pipeline.spec.lock import KINDS, Lock
from pipeline.store.atomic import write_atomically

HEADER = "# Commits of the hub names that the specs in this folder use; written by `studyc pin`.\n"

Ask = Callable[[str, str], str]


def ask_hub(kind: str, name: str) -> str:
    """The commit of a repository's main branch (huggingface_hub; HF_TOKEN and HF_ENDPOINT are honoured)."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    api = HfApi()
    try:
        info = api.model_info(name) if kind == "models" else api.dataset_info(name)
    except HfHubHTTPError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{kind[:-1]} {name}: the hub refuses: {reason}", "Check the name and your access (HF_TOKEN)."
        ) from None
    except (OSError, httpx.HTTPError, OfflineModeIsEnabled, RuntimeError) as error:
        raise InputError(
            f"{kind[:-1]} {name}: the hub cannot be reached ({type(error).__name__})",
            "Run `studyc pin` where it can be, and commit the lock file.",
        ) from None
    if not info.sha:
        raise InputError(
            f"{kind[:-1]} {name}: the hub names no commit", "Ask whoever runs that hub (HF_ENDPOINT)."
        )
    return info.sha


def pin_names(plan: Plan, *, is_update: bool, ask: Ask = ask_hub) -> Iterator[str]:
    """Pin every name of the studies; yields one line per name. Existing pins stay unless `is_update`."""
    names = sorted(hub_names(plan))
    for lock in {study.study.lock.path: study.study.lock for study in plan.studies if names}.values():
        found = {kind: dict(getattr(lock, kind)) for kind in KINDS}
        for kind, name in names:
            if name in found[kind] and not is_update:
                yield f"{kind[:-1]} {name}: {found[kind][name]} (kept)"
                continue
            found[kind][name] = ask(kind, name)
            yield f"{kind[:-1]} {name}: {found[kind][name]}"
        _write(lock.path, Lock(lock.path, found["models"], found["datasets"]))


def hub_names(plan: Plan) -> set[tuple[str, str]]:
    """(kind, name) of every hub name of a plan."""
    return {(name.kind, name.name) for name in plan.hub_names()}


def _write(path: Path, lock: Lock) -> None:
    lines = [HEADER]
    for kind in KINDS:
        names = getattr(lock, kind)
        if names:
            lines.append(f"{kind}:\n")
            lines += [f'  "{name}": "{commit}"\n' for name, commit in sorted(names.items())]
    write_atomically(path, "".join(lines) if len(lines) > 1 else HEADER + "models: {}\n")
