"""Mix several data sets by quota, optionally shuffled with a seed.

Each part gives its first rows in a seeded order of its own, so that more rows of it hold the fewer; the column `part`
(0, 1, …) says which part a row came from. An id that occurs in two parts is kept in both, the later as `id@part`.
Refused, naming the part: a quota that it cannot fill, a column whose type does not go with another part's.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import model_validator

from pipeline.errors import InputError
from pipeline.fingerprint import Config, content
from pipeline.stages import Stage


class MixConfig(Config):
    """How much of each part: quotas, or weights of a total."""

    quotas: tuple[int | None, ...] | None = content(None, describe="Rows of each part; null takes all of it.")
    weights: tuple[float, ...] | None = content(None, describe="Shares of the parts in `rows`.")
    rows: int | None = content(None, describe="Total rows, with weights.", ge=1)
    seed: int = content(0, describe="Seed of the choice and of the shuffle.", ge=0)
    shuffle: bool = content(True, describe="Mix the parts; else one after the other.")

    @model_validator(mode="after")
    def _quotas_or_weights(self) -> MixConfig:
        if (self.quotas is None) == (self.weights is None):
            raise ValueError("a mixture needs either quotas or weights")
        if (self.weights is None) != (self.rows is None):
            raise ValueError("weights and rows belong together")
        if self.weights is not None and (min(self.weights, default=0) <= 0):
            raise ValueError("weights must be positive")
        if self.quotas is not None and any(quota is not None and quota < 1 for quota in self.quotas):
            raise ValueError("quotas must be at least 1; leave a part out instead")
        return self

    def quotas_of(self, available: tuple[int, ...], parts: Sequence[str]) -> tuple[int, ...]:
        """Rows of each part (`parts`: what messages call them); raises where one has too few or their number differs."""
        given = self.quotas if self.quotas is not None else _apportion(self.rows or 0, self.weights or ())
        if len(given) != len(available):
            raise InputError(f"the mixture names {len(given)} parts, but {len(available)} inputs were given")
        for part, quota, rows in zip(parts, given, available, strict=True):
            if quota is not None and quota > rows:
                raise InputError(
                    f"{part} should give {quota} rows and has {rows}",
                    f"Ask for at most {rows} of it, or loosen the filters before it.",
                )
        return tuple(rows if quota is None else quota for quota, rows in zip(given, available, strict=True))


def _apportion(total: int, weights: tuple[float, ...]) -> tuple[int, ...]:
    """Whole numbers in proportion to the weights that add up to the total (largest remainders)."""
    exact = [total * weight / sum(weights) for weight in weights]
    whole = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for i in by_remainder[: total - sum(whole)]:
        whole[i] += 1
    return tuple(whole)


STAGE = Stage(
    name="mix",
    version=2,
    config=MixConfig,
    produces="dataset",
    follows="filter",
    summary="Mix data sets by quota.",
)
