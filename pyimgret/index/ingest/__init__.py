"""Adding images and vectors to an index."""
