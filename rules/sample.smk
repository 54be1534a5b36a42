# Sample k responses per problem.


rule sample:
    input:
        STUDY.inputs,
    output:
        STUDY.record("sample"),
    log:
        STUDY.log("sample"),
    benchmark:
        STUDY.benchmark("sample")
    localrule: STUDY.is_local("sample")
    threads: STUDY.threads("sample")
    resources:
        **STUDY.resources("sample"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "sample · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
