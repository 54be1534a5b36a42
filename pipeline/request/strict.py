"""The one rule for reading a request back: a field that is not known is refused."""

from __future__ import annotations

from typing import Any, ClassVar


class Strict:
    """Unknown fields are refused when a dataclass is read back from plain values."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
