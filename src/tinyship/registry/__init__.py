"""What a registry says of an image, without an engine. Knows no engine."""
