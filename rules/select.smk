# Keep the rows that a model solves often enough, or that a judge accepts.


rule select:
    input:
        STUDY.inputs,
    output:
        STUDY.record("select"),
    log:
        STUDY.log("select"),
    benchmark:
        STUDY.benchmark("select")
    localrule: STUDY.is_local("select")
    threads: STUDY.threads("select")
    resources:
        **STUDY.resources("select"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "select · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
