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
        "rl · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
