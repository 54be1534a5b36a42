"""Policies on disk and from the hub."""
