"""What a page is drawn from: records, scores and their summaries."""
