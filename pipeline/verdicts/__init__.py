"""Is it true: estimates, intervals and the decision of claims."""
