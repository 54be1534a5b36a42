"""Engines: where torch, transformers, trl, vllm, datasets and polars are imported; reached from a stage's run only."""
