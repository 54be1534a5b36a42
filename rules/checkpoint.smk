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
        "checkpoint · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
