# Make training rows of what a policy wrote.


rule synthesise:
    input:
        STUDY.inputs,
    output:
        STUDY.record("synthesise"),
    log:
        STUDY.log("synthesise"),
    benchmark:
        STUDY.benchmark("synthesise")
    localrule: STUDY.is_local("synthesise")
    threads: STUDY.threads("synthesise")
    resources:
        **STUDY.resources("synthesise"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "synthesise · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
