# Mix data sets by quota.


rule mix:
    message:
        "mix · {params.title}"
    input:
        STUDY.inputs,
    output:
        STUDY.record("mix"),
    log:
        STUDY.log("mix"),
    benchmark:
        STUDY.benchmark("mix")
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
