# Drop rows by named filters, and say why.


rule filter:
    input:
        STUDY.inputs,
    output:
        STUDY.record("filter"),
    log:
        STUDY.log("filter"),
    benchmark:
        STUDY.benchmark("filter")
    localrule: STUDY.is_local("filter")
    threads: STUDY.threads("filter")
    resources:
        **STUDY.resources("filter"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "filter · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
