# Grade responses against gold answers.


rule score:
    input:
        STUDY.inputs,
    output:
        STUDY.record("score"),
    log:
        STUDY.log("score"),
    benchmark:
        STUDY.benchmark("score")
    localrule: STUDY.is_local("score")
    threads: STUDY.threads("score")
    resources:
        **STUDY.resources("score"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "score · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
