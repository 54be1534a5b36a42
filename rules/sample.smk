# Sample k responses per problem.


rule sample:
    input:
        STUDY.inputs,
    output:
        STUDY.record("sample"),
    log:
        STUDY.log("sample"),
    benchmark:
        STUDY.benchmark("sample")
    localrule: STUDY.is_local("sample")
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
        "sample · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
