# Drop rows by named filters, and say why.


rule filter:
    message:
        "filter · {params.title}"
    input:
        STUDY.inputs,
    output:
        STUDY.record("filter"),
    log:
        STUDY.log("filter"),
    benchmark:
        STUDY.benchmark("filter")
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
