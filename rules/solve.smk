# Try the unsolved problems again with more samples, round by round.


rule solve:
    input:
        STUDY.inputs,
    output:
        STUDY.record("solve"),
    log:
        STUDY.log("solve"),
    benchmark:
        STUDY.benchmark("solve")
    localrule: STUDY.is_local("solve")
    threads: STUDY.threads("solve")
    resources:
        **STUDY.resources("solve"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "solve · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
