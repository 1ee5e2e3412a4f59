"""Shows events, tables and JSON; nothing else in tinyship prints."""
