"""The configurations of stages: every field says what it is."""

from __future__ import annotations

from pipeline import stages
from tests.support.models import config_models


def test_every_stage_field_says_whether_it_is_content_or_placement() -> None:
    models = [model for name in stages.names() for model in config_models(stages.load(name).config)]
    assert len(models) > 15
    for model in models:
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra or {}
            assert extra.get("role") in ("content", "placement"), f"{model.__name__}.{name}"
            assert field.description, f"{model.__name__}.{name} lacks a description"
