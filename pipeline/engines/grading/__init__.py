"""Is a response right? The process that grades, answers compared as text, many responses graded in parts."""
