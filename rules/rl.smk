# Train a policy on its own rollouts.


rule rl:
    message:
        "rl · {params.title}"
    input:
        STUDY.inputs,
    output:
        STUDY.record("rl"),
    log:
        STUDY.log("rl"),
    benchmark:
        STUDY.benchmark("rl")
    threads: STUDY.threads
    resources:
        mem_mb=STUDY.mem_mb,
        runtime=STUDY.runtime,
        nodes=STUDY.nodes,
        gres=STUDY.gres,
        slurm_partition=STUDY.partition,
        slurm_account=STUDY.account,
    params:
        title=STUDY.title,
        command=STUDY.command,
    shell:
        "{params.command} > {log:q} 2>&1"
