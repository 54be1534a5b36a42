"""What runs: Snakemake's side of a plan, the job process, the stage process."""
