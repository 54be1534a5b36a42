"""What is a policy on disk? A folder that is checked, loaded, saved, fetched, published, or made from scratch."""
