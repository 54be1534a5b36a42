"""Rows made from responses and dialogues."""
