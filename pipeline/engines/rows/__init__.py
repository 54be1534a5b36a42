"""Rows: Parquet, files, the hub, fields."""
