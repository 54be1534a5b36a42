# Publish one step of an RL run as a policy.


rule checkpoint:
    message:
        "checkpoint · {params.title}"
    input:
        STUDY.inputs,
    output:
        STUDY.record("checkpoint"),
    log:
        STUDY.log("checkpoint"),
    benchmark:
        STUDY.benchmark("checkpoint")
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
