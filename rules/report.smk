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
    threads: STUDY.threads("report")
    resources:
        **STUDY.resources("report"),
    params:
        title=STUDY.title,
        command=STUDY.command,
    message:
        "report · {params.title}"
    shell:
        "exec {params.command} > {log:q} 2>&1"
