# Fine-tune a policy on completions.


rule sft:
    input:
        STUDY.inputs,
    output:
        STUDY.record("sft"),
    log:
        STUDY.log("sft"),
    benchmark:
        STUDY.benchmark("sft")
    localrule: STUDY.is_local("sft")
    threads: STUDY.threads("sft")
    resources:
        **STUDY.resources("sft"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "sft · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
