"""Config -> frozen, typed settings, each with the place that it came from."""
