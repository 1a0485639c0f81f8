"""Images and vectors on their way into an index."""
