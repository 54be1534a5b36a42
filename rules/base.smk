# Obtain the starting policy.


rule base:
    input:
        STUDY.inputs,
    output:
        STUDY.record("base"),
    log:
        STUDY.log("base"),
    benchmark:
        STUDY.benchmark("base")
    localrule: STUDY.is_local("base")
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
        "base · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
