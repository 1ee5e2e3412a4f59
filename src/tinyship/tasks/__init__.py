"""Invoke adapters: read settings, call the library, print."""
