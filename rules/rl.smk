# Train a policy on its own rollouts.


rule rl:
    input:
        STUDY.inputs,
    output:
        STUDY.record("rl"),
    log:
        STUDY.log("rl"),
    benchmark:
        STUDY.benchmark("rl")
    localrule: STUDY.is_local("rl")
    threads: STUDY.threads("rl")
    resources:
        **STUDY.resources("rl"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "rl · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
