"""Finding the nearest vectors: exact, int8, binary codes, graph."""
