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
    threads: STUDY.threads
    resources:
        mem_mb=STUDY.mem_mb,
        runtime=STUDY.runtime,
        nodes=STUDY.nodes,
        gres=STUDY.gres,
        slurm_partition=STUDY.partition,
        slurm_account=STUDY.account,
        slurm_extra=STUDY.slurm_extra,
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "sft · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
