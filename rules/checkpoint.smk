# Publish one step of an RL run as a policy.


rule checkpoint:
    input:
        STUDY.inputs,
    output:
        STUDY.record("checkpoint"),
    log:
        STUDY.log("checkpoint"),
    benchmark:
        STUDY.benchmark("checkpoint")
    localrule: STUDY.is_local("checkpoint")
    threads: STUDY.threads("checkpoint")
    resources:
        **STUDY.resources("checkpoint"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "checkpoint · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
