# Measure the text of responses.


rule analyse:
    input:
        STUDY.inputs,
    output:
        STUDY.record("analyse"),
    log:
        STUDY.log("analyse"),
    benchmark:
        STUDY.benchmark("analyse")
    localrule: STUDY.is_local("analyse")
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
        "analyse · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
