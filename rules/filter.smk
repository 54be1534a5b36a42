# Drop rows by named filters, and say why.


rule filter:
    input:
        STUDY.inputs,
    output:
        STUDY.record("filter"),
    log:
        STUDY.log("filter"),
    benchmark:
        STUDY.benchmark("filter")
    localrule: STUDY.is_local("filter")
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
        "filter · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
