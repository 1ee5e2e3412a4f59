"""What development needs around tinyship: an engine and a registry, the demonstration, the picture."""
