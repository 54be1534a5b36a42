"""The front end: one YAML file becomes a validated Study, or all its errors with their places."""

from pipeline.spec.read import read_study
from pipeline.spec.study import Study

__all__ = ["Study", "read_study"]
