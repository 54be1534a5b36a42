"""An entry of a catalogue with its parameters, as a study writes it → its validated configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from pipeline.errors import Problem, StudyError, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.spec.levels import Problems
from pipeline.spec.problems import Locate, problems_of


class Catalogue(Protocol):
    """What every package of entries offers: rewards, filters, judges, analyses, generators."""

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""

    def params_model(self, name: str, /) -> type[Config]:
        """The configuration model of one entry."""

    def validate(self, name: str, params: Mapping[str, Any], /) -> Config:
        """The validated parameters of one entry."""


def validate_entry(
    catalogue: Catalogue,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    path: PathTuple,
    locate: Locate,
    problems: Problems,
    also_known: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
) -> Config | None:
    """Validate a catalogue entry's parameters where they stand in a file; None after noting the problems.

    `also_known` are names beside the catalogue's, `words` keys beside the parameters, for errors to suggest.
    """
    if name not in catalogue.names():
        remedy = suggest(name, [*catalogue.names(), *also_known])
        problems.append(Problem(f"{kind} {name!r} is unknown", remedy, locate(path, True)))
        return None
    try:
        return catalogue.validate(name, dict(options))
    except ValidationError as error:
        model, label = catalogue.params_model(name), f"{kind} {name!r}: "
        place = lambda p, k: locate((*path, *p), k)
        problems.extend(problems_of(error, model, place, options, where_known=label, also_known=words))
    except StudyError as error:
        problems.append(Problem(error.what, error.remedy, locate(path, False)))
    return None
