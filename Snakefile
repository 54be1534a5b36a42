# The back end of studyc: one rule per stage, one wildcard, inputs looked up in the plan.
#
#   snakemake -n --config study=specs/demo.yaml              what would run, with the plan's counts
#   snakemake --config study=specs/demo.yaml                 run here (profiles/default is loaded by itself)
#   snakemake --profile slurm --config study=specs/demo.yaml run on the cluster
#
# The plan is compiled once, by the first process; jobs execute the frozen plan (pipeline/backend/workflow.py).

import os
import sys

from snakemake.utils import min_version

min_version("9.0")
sys.path.insert(
    0, str(workflow.basedir) if workflow.is_main_process else os.environ["STUDYC_CODE"]
)

from pipeline.backend.workflow import load

STUDY = load(workflow, config)


envvars:
    "STUDYC_PLAN",
    "STUDYC_CODE",


wildcard_constraints:
    key=r"[A-Za-z0-9][A-Za-z0-9._+-]*-[0-9a-f]{12}",


rule all:
    input:
        STUDY.targets,
    localrule: True


include: "rules/stages.smk"


STUDY.describe_rules(workflow)  # for `snakemake --list`
