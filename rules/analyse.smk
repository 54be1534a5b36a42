# Measure the text of responses.


rule analyse:
    input:
        STUDY.inputs,
    output:
        STUDY.record("analyse"),
    log:
        STUDY.log("analyse"),
    benchmark:
        STUDY.benchmark("analyse")
    localrule: STUDY.is_local("analyse")
    threads: STUDY.threads("analyse")
    resources:
        **STUDY.resources("analyse"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "analyse · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
