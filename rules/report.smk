# Decide the claims and draw the page.


rule report:
    input:
        STUDY.inputs,
    output:
        STUDY.record("report"),
    log:
        STUDY.log("report"),
    benchmark:
        STUDY.benchmark("report")
    localrule: STUDY.is_local("report")
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
        "report · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
