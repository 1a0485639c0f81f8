"""Maintenance of an index as a whole."""
