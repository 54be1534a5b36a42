"""A judge inside a study: Snakemake runs it for every measurement, the report knows its columns, the key stays secret."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl

from tests.support.endpoint import Answer, Seen, say, serve
from tests.support.project import planned_jobs, snakemake
from tests.workflow.test_runs import edit

KEY = "sk-of-a-study/0815+1"


def test_a_study_with_a_judge_runs_and_keeps_its_key_to_itself(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)

    def behave(seen: Seen) -> Answer:
        is_first = seen.count == 1 and len(seen.text) % 5 == 0
        return Answer(429, b"", {"Retry-After": "0"}) if is_first else say(f"You sent {KEY}. 2.")

    with serve(behave) as endpoint:
        judges = f"""judges:
  gpt: {{judge: reflection, engine: openai, model: m, url: "{endpoint.url}", key_variable: JUDGE_KEY, backoff_seconds: 0.01}}
"""
        edit(
            project,
            "analyses: [reflection_keywords]\n",
            f"{judges}analyses: [reflection_keywords, {{reflection: {{judge: gpt}}}}, think]\n",
        )
        assert planned_jobs(project) == Counter({"judge": 6, "analyse": 12, "report": 1})
        shown = snakemake(project, "--cores", "2")
        asked = len(endpoint.seen)
        assert {seen.headers.get("Authorization") for seen in endpoint.seen} == {f"Bearer {KEY}"}
        assert planned_jobs(project) == Counter()
    assert asked >= 6 * 24
    results = project / "results"
    for folder in (results / "judge").iterdir():
        verdicts = pl.read_parquet(folder / "verdicts.parquet")
        assert verdicts.height == 24 and verdicts["is_positive"].all()
    numbers = max((results / "report").glob("*/numbers.csv"), key=lambda path: path.stat().st_mtime)
    assert set(pl.read_csv(numbers)["metric"]) >= {
        "reflection.reflects",
        "reflection.judged",
        "think.cot_tokens",
    }
    assert KEY not in shown
    files = [path for path in project.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
