"""Obtain a policy from the Hugging Face Hub or from a folder; the checks are those of folder.py.

Guaranteed: the Hub is asked for one commit only and for safetensors, JSON, text and template files only;
model/ holds files of its own (weights of the Hub's cache, which are never rewritten, are hard-linked where
possible), so that it survives a cleaned cache and later edits of a local folder.
A token-classification model (the compressor of stage `compress`) needs no chat template.
Refused: unpinned names, weights in pickle, a folder that has changed since it was planned, a policy that
cannot be loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import (
    check_policy_folder,
    check_vocabulary,
    load_tokenizer,
    quiet_libraries,
)
from pipeline.errors import InputError, RefusedError
from pipeline.stages.base import HubModel, LocalModel
from pipeline.stages.source import digest_path
from pipeline.store.atomic import replaced_folder
from pipeline.store.job import Job

PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.jinja", "*.model", "LICENSE*", "README.md")


def fetch_policy(job: Job, config: HubModel) -> dict[str, Any]:
    """Download one commit through the Hub's cache into model/; offline, the cache alone must hold it."""
    if config.revision == "unpinned":
        raise RefusedError(
            f"model {config.name!r} is not pinned to a commit, so its weights could change under the study",
            "Pin it with `studyc pin`, or name a local folder: {path: …}.",
        )
    job.progress(0, 1, "models")
    folder = _download(config)
    return _place(job, folder, link=True) | {"commit": config.revision}


def _download(config: HubModel) -> Path:
    """The snapshot of the commit, from the network or, where that fails, whole from the Hub's cache."""
    quiet_libraries()
    from huggingface_hub import snapshot_download

    wanted: dict[str, Any] = {"revision": config.revision, "allow_patterns": list(PATTERNS)}
    try:
        return Path(snapshot_download(config.name, **wanted))
    except Exception as problem:
        with contextlib.suppress(Exception):
            folder = Path(snapshot_download(config.name, local_files_only=True, **wanted))
            check_policy_folder(folder)
            return folder
        reason = next((line for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
        raise InputError(
            f"model {config.name} at {config.revision[:12]} cannot be downloaded: {reason}",
            "Check name, pin and network (HF_TOKEN for gated models); offline, the cache must hold it.",
        ) from problem


def copy_policy(job: Job, config: LocalModel) -> dict[str, Any]:
    """Copy a local folder into model/; its files must still be those that were planned."""
    folder = Path(config.path).expanduser()
    check_policy_folder(folder)
    found = digest_path(folder)
    if found != config.digest:
        raise InputError(
            f"{folder} has changed since it was planned (digest {found[:12]}, not {config.digest[:12]})",
            "Run `studyc plan` again to plan with the folder as it is now.",
        )
    return _place(job, folder, link=False)


def _place(job: Job, source: Path, *, link: bool) -> dict[str, Any]:
    check_policy_folder(source)
    with replaced_folder(job.folder / "model") as scratch:
        placed = [_place_file(path, scratch / path.name, link=link) for path in _policy_files(source)]
        facts = _check(scratch)
    job.progress(1, 1, "models")
    return facts | {"bytes": sum(placed)}


def _policy_files(source: Path) -> Iterable[Path]:
    return sorted(
        p for p in source.iterdir() if p.is_file() and any(p.match(pattern) for pattern in PATTERNS)
    )


def _place_file(source: Path, target: Path, *, link: bool) -> int:
    """Copy a file, or hard-link it if it is a weight file, may be linked and can be; its size in bytes."""
    is_linked = False
    if link and source.suffix == ".safetensors":
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            is_linked = True
    if not is_linked:
        shutil.copyfile(source, target)
    return target.stat().st_size


def is_classifier(folder: Path) -> bool:
    """Whether a folder holds a token-classification model (a compressor), which is never prompted."""
    try:
        declared = json.loads((folder / "config.json").read_text()).get("architectures") or ()
    except ValueError:
        return False
    return any(name.endswith("ForTokenClassification") for name in declared)


def _check(folder: Path) -> dict[str, Any]:
    """Refuse what could not be loaded later, without loading the weights: header, config and tokenizer."""
    from safetensors import SafetensorError, safe_open
    from transformers import AutoConfig

    tokenizer = load_tokenizer(folder, is_classifier=is_classifier(folder))
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        parameters = 0
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="numpy") as weights:
                for name in weights.keys():  # noqa: SIM118
                    size = 1
                    for extent in weights.get_slice(name).get_shape():
                        size *= extent
                    parameters += size
    except (SafetensorError, OSError, ValueError) as problem:
        raise InputError(
            f"{folder}: damaged or of an unknown architecture: {problem}", "Copy it again."
        ) from problem
    check_vocabulary(folder, tokenizer, config.get_text_config().vocab_size)
    return {"parameters": parameters, "vocabulary": len(tokenizer), "architecture": config.model_type}
