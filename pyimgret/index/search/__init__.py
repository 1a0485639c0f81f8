"""Nearest-neighbour search: exact, int8 codes, binary codes, graph."""
