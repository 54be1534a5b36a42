"""What is drawn: figures, forests and tables."""
