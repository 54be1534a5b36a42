# Let a policy answer, assess and revise itself.


rule dialogue:
    input:
        STUDY.inputs,
    output:
        STUDY.record("dialogue"),
    log:
        STUDY.log("dialogue"),
    benchmark:
        STUDY.benchmark("dialogue")
    localrule: STUDY.is_local("dialogue")
    threads: STUDY.threads("dialogue")
    resources:
        **STUDY.resources("dialogue"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "dialogue · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
