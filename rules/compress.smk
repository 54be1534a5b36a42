# Shorten solutions with a compressor, at a random rate each.


rule compress:
    input:
        STUDY.inputs,
    output:
        STUDY.record("compress"),
    log:
        STUDY.log("compress"),
    benchmark:
        STUDY.benchmark("compress")
    localrule: STUDY.is_local("compress")
    threads: STUDY.threads("compress")
    resources:
        **STUDY.resources("compress"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "compress · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
