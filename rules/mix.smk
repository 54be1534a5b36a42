# Mix data sets by quota.


rule mix:
    input:
        STUDY.inputs,
    output:
        STUDY.record("mix"),
    log:
        STUDY.log("mix"),
    benchmark:
        STUDY.benchmark("mix")
    localrule: STUDY.is_local("mix")
    threads: STUDY.threads("mix")
    resources:
        **STUDY.resources("mix"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "mix · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
