"""Shows events, tables and JSON to people and scripts. Nothing else prints."""
