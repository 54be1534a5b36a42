"""Files generated from the models are as fresh as the models; the message has the diff and the mending command."""

from __future__ import annotations

import difflib
import json
import re

import pytest

from docs.generate import pages
from pipeline.spec.schema import HEADER, schema, schema_text
from tests.support import ROOT


def compare(path: str, expected: str) -> None:
    found = (ROOT / path).read_text() if (ROOT / path).exists() else ""
    if found != expected:
        diff = "\n".join(
            difflib.unified_diff(
                found.splitlines(), expected.splitlines(), path, "from the models", lineterm=""
            )
        )
        pytest.fail(f"{path} is stale; mend it with: make docs\n{diff[:4000]}", pytrace=False)


def test_the_schema_is_fresh() -> None:
    compare("specs/schema.json", schema_text())


@pytest.mark.parametrize("name", pages())
def test_a_reference_page_is_fresh(name: str) -> None:
    compare(f"docs/reference/{name}", pages()[name].rstrip() + "\n")


SPECS = sorted(p for p in (ROOT / "specs").rglob("*.yaml") if not p.name.endswith(".lock.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.name)
def test_a_spec_has_the_editor_header_and_fits_the_schema(path) -> None:
    import jsonschema

    from pipeline.locate import read_yaml

    text = path.read_text()
    assert re.match(r"# yaml-language-server: \$schema=(\.\./)*schema\.json\n", text) or text.startswith(
        HEADER
    )
    value = json.loads(json.dumps(read_yaml(path).value))
    errors = [e.message for e in jsonschema.Draft7Validator(schema()).iter_errors(value)]
    assert errors == []


def test_a_new_study_is_valid_as_it_stands(tmp_path, capsys) -> None:
    from pipeline.cli.main import main

    assert main(["new", "mine"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    assert main(["check", str(path)]) == 0
    assert "3 cells × 2 replicates, 5 trainings" in capsys.readouterr().out


def test_a_new_study_with_an_unsafe_name_is_refused(capsys) -> None:
    from pipeline.cli.main import main

    assert main(["new", "a b"]) == 2
    assert "not safe" in capsys.readouterr().err
