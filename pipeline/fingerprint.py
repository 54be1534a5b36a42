"""Identity: what decides an artifact's content, and nothing else.

A fingerprint is the first 12 hex digits of SHA-256 over canonical JSON (sorted keys, no spaces,
shortest round-trip floats) of: the scheme, the stage and its VERSION, the configuration's
*content* fields that differ from their defaults, the inputs' fingerprints by role, and the seed.
*Placement* (paths, GPU counts, micro-batches, shards, workers, titles) is never part of it.
A field says which of the two it is by being declared with `content()` or `placement()`.

Refused: values without a stable identity (callables, NaN, infinities, sets, arbitrary objects).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from pipeline.errors import StudyError

SCHEME = 1
"""Version of this scheme; a change ships with a migration (docs/adr/0003-identity.md)."""

_REQUIRED: Any = ...


def content(default: Any = _REQUIRED, *, describe: str, **constraints: Any) -> Any:
    """Declare a field that decides what comes out; it is part of the fingerprint."""
    return Field(default, description=describe, json_schema_extra={"role": "content"}, **constraints)


def placement(default: Any = _REQUIRED, *, describe: str, **constraints: Any) -> Any:
    """Declare a field that decides only where or how fast; it is never part of the fingerprint."""
    return Field(default, description=describe, json_schema_extra={"role": "placement"}, **constraints)


class Config(BaseModel):
    """A frozen, strict configuration whose fields are content or placement; unknown keys refused."""

    # Most models of a catalogue are never asked about in a run: their validators are built at the first use.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    def identity(self) -> dict[str, Any]:
        """The content fields that differ from their defaults, as plain JSON values."""
        payload: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            if _role_of(field) == "placement":
                continue
            value = getattr(self, name)
            if field.is_required() or not _same_content(value, field.get_default(call_default_factory=True)):
                payload[name] = to_plain(value, name)
        return payload


def _role_of(field: FieldInfo) -> str:
    """`content` or `placement`; a field that was declared as neither is a fault of ours."""
    extra = field.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError(f"declare {field} with content() or placement()")
    return str(extra["role"])


def _same_content(value: Any, default: Any) -> bool:
    """Whether a field is at its default; a nested configuration that differs in placement alone is."""
    if value == default:
        return True
    is_nested = isinstance(value, Config) and type(value) is type(default)
    return is_nested and value.identity() == default.identity()


def to_plain(value: Any, where: str = "value") -> Any:
    """Turn a value into plain JSON types; raise where it has no stable identity."""
    if isinstance(value, Config):
        return value.identity()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StudyError(
                f"{where}: {value} has no stable identity, so it cannot be part of a fingerprint",
                "Write a finite number, or leave the field out.",
            )
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise StudyError(
        f"{where}: a {type(value).__name__} has no stable identity, so it cannot be part of a fingerprint",
        "Use text, numbers, booleans, lists or mappings.",
    )


def canonical_json(value: Any) -> str:
    """The one JSON text of a plain value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(text: str) -> str:
    """The first 12 hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
