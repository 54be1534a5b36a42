"""How do training rows come out of what policies said? Choices among responses and dialogues, shortened chains."""
