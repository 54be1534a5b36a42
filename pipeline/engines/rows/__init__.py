"""How are rows read and written? Sources, their columns and ours, Parquet in bounded memory, tables between stages."""
