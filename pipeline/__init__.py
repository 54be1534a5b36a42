"""studyc: a compiler for post-training studies (models × data scales × reward variants)."""

__version__ = "0.2.0"
