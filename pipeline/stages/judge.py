"""Let a model label texts: each response of a completions artifact, or each problem of a data set."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from pipeline import judges
from pipeline.fingerprint import Config, content, placement
from pipeline.stages import Counted, Placement, Stage, environment_of
from pipeline.stages._training import Precision


class JudgeConfig(Config):
    """Which question is put to which model, and how; the model is an endpoint's or, with a local engine, a policy."""

    judge: str = content(describe="Name in the catalogue of judges.")
    params: dict[str, Any] = content({}, describe="The judge's own parameters, validated by its model.")
    engine: Literal["openai", "transformers", "vllm"] = content(
        describe="openai: any endpoint that speaks this protocol; else a policy is loaded and samples here."
    )
    model: str | None = content(None, describe="The endpoint's name of the model (openai).", min_length=1)
    temperature: float = content(0.0, describe="Sampling temperature; 0 is greedy.", ge=0)
    max_new_tokens: int = content(
        300, describe="Tokens after which a reply is cut; a cut reply is unreadable.", ge=1
    )
    seed: int = content(0, describe="Seed of the replies where the temperature is above 0.", ge=0)
    precision: Precision = content("bf16", describe="Precision of the weights (local engines).")

    max_unreadable: float = placement(
        0.02, describe="Share of unreadable replies above which the stage fails; no verdict depends on it.",
        ge=0, le=1,
    )  # fmt: skip
    url: str | None = placement(None, describe="Base URL of the endpoint, as a rule ending in /v1 (openai).")
    key_variable: str | None = placement(
        None, describe="Environment variable that holds the endpoint's key; none is sent when absent."
    )
    parallel: int = placement(8, describe="Requests under way at once (openai).", ge=1, le=1024)
    timeout_seconds: float = placement(
        120.0, describe="How long the endpoint may be silent before a request is repeated.", gt=0
    )
    retries: int = placement(
        6, describe="Repetitions of a request after 429, 5xx, a timeout or a lost connection.", ge=0
    )
    backoff_seconds: float = placement(
        1.0, describe="Wait before the first repetition; each further one doubles it, up to a minute.", gt=0
    )
    shard_rows: int = placement(
        256,
        describe="Rows that are asked about, and again where unreadable, before the next are begun.",
        ge=1,
    )
    gpus: int = placement(0, describe="GPUs of one job (local engines).", ge=0)
    batch_size: int = placement(16, describe="Replies generated at once (transformers).", ge=1)
    vllm_memory: float = placement(0.85, describe="Share of GPU memory for vLLM.", gt=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _validate(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("judge"), str):
            return value
        params = value.get("params", {})
        if not isinstance(params, dict):
            return value
        return {**value, "params": judges.validate(value["judge"], params).identity()}

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            whole = False
        if not whole or parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "it should be a plain URL such as https://HOST/v1\n"
                "Keys and passwords never stand in a URL: name an environment variable as key_variable."
            )
        return value

    @field_validator("key_variable")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        # The value is not repeated in the message: somebody may have put the key itself here.
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", value):
            raise ValueError(
                "it should be the name of an environment variable\n"
                "Write e.g. OPENAI_API_KEY, never the key itself."
            )
        return value

    @model_validator(mode="after")
    def _fits_the_engine(self) -> JudgeConfig:
        given = [name for name in ("model", "url", "key_variable") if getattr(self, name) is not None]
        if self.engine == "openai":
            lacking = [name for name in ("model", "url") if name not in given]
            if lacking:
                raise ValueError(
                    f"engine openai needs {' and '.join(lacking)}\nName the endpoint and its model."
                )
        elif given:
            raise ValueError(
                f"engine {self.engine} takes no {' and no '.join(given)}: it loads a policy\n"
                "Remove what belongs to an endpoint, or write engine: openai."
            )
        return self


STAGE = Stage(
    name="judge",
    version=2,
    config=JudgeConfig,
    produces="scores",
    follows="score",
    summary="Let a model label responses or problems.",
    place=lambda config: Placement(environment=environment_of(config.engine), gpus=config.gpus),
    imports_torch=True,
    counted=Counted("n", "rows judged"),
)
