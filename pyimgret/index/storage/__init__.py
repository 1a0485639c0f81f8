"""The storage of an index: the database and its files."""
