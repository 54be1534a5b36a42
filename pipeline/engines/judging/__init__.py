"""How judges are asked, and what they reply."""
