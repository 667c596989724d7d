"""The embedded demo: story patients played against a running service."""
