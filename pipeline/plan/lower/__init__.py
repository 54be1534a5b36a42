"""Cells to artifacts."""
