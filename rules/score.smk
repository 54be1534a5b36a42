# Grade responses against gold answers.


rule score:
    input:
        STUDY.inputs,
    output:
        STUDY.record("score"),
    log:
        STUDY.log("score"),
    benchmark:
        STUDY.benchmark("score")
    localrule: STUDY.is_local("score")
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
        "score · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
