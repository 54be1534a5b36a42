"""What a person types: one file per command, the progress display, the text that is printed."""
