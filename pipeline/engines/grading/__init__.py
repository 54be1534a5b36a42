"""What grading processes share."""
