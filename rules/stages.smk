# One rule per stage, alike in everything but their names: what a job reads, needs and runs is looked up in the plan.

for stage in STUDY.stages:

    rule:
        name:
            stage
        input:
            STUDY.inputs,
        output:
            STUDY.record(stage),
        log:
            STUDY.log(stage),
        benchmark:
            STUDY.benchmark(stage)
        localrule: STUDY.is_local(stage)
        threads: STUDY.threads(stage)
        resources:
            **STUDY.resources(stage),
        params:
            title=STUDY.title,
            command=STUDY.command,
        message:
            "{rule} · {params.title}"
        shell:
            "exec {params.command} > {log:q} 2>&1"
