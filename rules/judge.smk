# Let a model label responses or problems.


rule judge:
    input:
        STUDY.inputs,
    output:
        STUDY.record("judge"),
    log:
        STUDY.log("judge"),
    benchmark:
        STUDY.benchmark("judge")
    localrule: STUDY.is_local("judge")
    threads: STUDY.threads("judge")
    resources:
        **STUDY.resources("judge"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "judge · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
