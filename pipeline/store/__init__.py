"""What lies on disk: the protocol of results/."""
