# Bring in the rows of a data set: hub, file or generator.


rule source:
    input:
        STUDY.inputs,
    output:
        STUDY.record("source"),
    log:
        STUDY.log("source"),
    benchmark:
        STUDY.benchmark("source")
    localrule: STUDY.is_local("source")
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
        "source · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
