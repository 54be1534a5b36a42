# Decide the claims and draw the page.


rule report:
    message:
        "report · {params.title}"
    input:
        STUDY.inputs,
    output:
        STUDY.record("report"),
    log:
        STUDY.log("report"),
    benchmark:
        STUDY.benchmark("report")
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
