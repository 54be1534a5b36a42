"""Warm starts: a process that has imported torch once and forks CPU jobs from itself."""
