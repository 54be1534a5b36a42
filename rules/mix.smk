# Mix data sets by quota.


rule mix:
    input:
        STUDY.inputs,
    output:
        STUDY.record("mix"),
    log:
        STUDY.log("mix"),
    benchmark:
        STUDY.benchmark("mix")
    localrule: STUDY.is_local("mix")
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
        "mix · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
