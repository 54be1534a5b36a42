"""What does each stage do? One file per stage, STAGE.py, and rooms for what several of them share.

Only here torch, transformers, TRL, vLLM, datasets and polars are imported; only the stage process comes here.
"""
