"""What the planner asks of the report: the vocabulary that both share."""
