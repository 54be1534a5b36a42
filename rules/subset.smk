# Take the first n rows of a seeded order, so that subsets are nested.


rule subset:
    message:
        "subset · {params.title}"
    input:
        STUDY.inputs,
    output:
        STUDY.record("subset"),
    log:
        STUDY.log("subset"),
    benchmark:
        STUDY.benchmark("subset")
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
