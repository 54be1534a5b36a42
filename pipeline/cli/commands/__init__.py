"""The commands, one per file and found by it: each module's COMMAND has its arguments, help, example and what it does."""

from __future__ import annotations

import importlib
import pkgutil

from pipeline.cli.command import Command

READ_FIRST = ("check", "plan", "why", "status", "run", "report", "verify", "pin", "schema", "new", "reward")
"""The order of the help; a command that is not named here comes after these."""


def all_commands() -> tuple[Command, ...]:
    """Every command, in the order of the help."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    names = [name for name in READ_FIRST if name in found] + sorted(found - set(READ_FIRST))
    return tuple(importlib.import_module(f"{__name__}.{name}").COMMAND for name in names)
