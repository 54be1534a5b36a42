"""The middle: cells to artifacts to a frozen plan; pure but for reading records and digests."""
