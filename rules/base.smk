# Obtain the starting policy.


rule base:
    input:
        STUDY.inputs,
    output:
        STUDY.record("base"),
    log:
        STUDY.log("base"),
    benchmark:
        STUDY.benchmark("base")
    localrule: STUDY.is_local("base")
    threads: STUDY.threads("base")
    resources:
        **STUDY.resources("base"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "base · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
