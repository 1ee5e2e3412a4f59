"""A new project's files: reads what is there, and writes what is missing."""
