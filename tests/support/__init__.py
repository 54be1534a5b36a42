"""What tests of several folders share: studies, projects, small disks, endpoints, made-up results."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository's folder, from which tests start processes and read files."""
