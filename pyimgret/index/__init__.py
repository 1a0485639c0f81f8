"""The index: a directory that holds keys, embeddings and metadata, and finds the nearest."""
