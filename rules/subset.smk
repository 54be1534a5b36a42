# Take the first n rows of a seeded order, so that subsets are nested.


rule subset:
    input:
        STUDY.inputs,
    output:
        STUDY.record("subset"),
    log:
        STUDY.log("subset"),
    benchmark:
        STUDY.benchmark("subset")
    localrule: STUDY.is_local("subset")
    threads: STUDY.threads("subset")
    resources:
        **STUDY.resources("subset"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "subset · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
