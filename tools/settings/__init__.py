"""What is made of the settings' types: the tables of `docs/settings.md`, and the JSON Schema for editors."""
