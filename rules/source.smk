# Bring in the rows of a data set: hub, file or generator.


rule source:
    input:
        STUDY.inputs,
    output:
        STUDY.record("source"),
    log:
        STUDY.log("source"),
    benchmark:
        STUDY.benchmark("source")
    localrule: STUDY.is_local("source")
    threads: STUDY.threads("source")
    resources:
        **STUDY.resources("source"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "source · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
