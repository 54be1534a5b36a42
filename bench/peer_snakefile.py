"""A hand-written wildcard Snakefile of the same graph: the least that Snakemake needs to know it.

The same rules, jobs, edges and outputs as ours, and a dictionary for the inputs. It has no resources, no messages,
no logs, no benchmarks, no records to look for: all of that is what our dry run adds.
"""

from __future__ import annotations

import json
from pathlib import Path

from pipeline import stages
from pipeline.plan.compiled import compile_plan
from pipeline.plan.freeze import freeze
from pipeline.site import Site

_HEAD = """\
import json

with open("graph.json") as stream:
    GRAPH = json.load(stream)


def inputs(wildcards):
    return GRAPH[wildcards.key]


wildcard_constraints:
    key=r"[A-Za-z0-9][A-Za-z0-9._+-]*-[0-9a-f]{12}",


rule all:
    input:
        GRAPH["all"],
"""

_RULE = """

rule {stage}:
    input:
        inputs,
    output:
        "peer/{stage}/{{key}}/record.json",
    shell:
        "make-artifact {{wildcards.key}} {{output}}"
"""


def write_peer(spec: Path, folder: Path) -> Path:
    """Write the peer of a study's graph, edges and all, into a folder; returns the Snakefile."""
    plan = compile_plan([spec], results=Path("peer"))
    frozen = freeze(plan, Site())
    path = {key: f"peer/{artifact.stage}/{key}/record.json" for key, artifact in plan.artifacts.items()}
    graph = {key: [path[name] for name in frozen.waits_for(key)] for key in plan.artifacts}
    graph["all"] = [path[study.report] for study in plan.studies]
    (folder / "graph.json").write_text(json.dumps(graph))
    target = folder / "peer.smk"
    target.write_text(_HEAD + "".join(_RULE.format(stage=stage) for stage in stages.names()))
    return target
