"""Claims, figures and tables, compiled into a report's request."""
