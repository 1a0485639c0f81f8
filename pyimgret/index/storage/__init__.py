"""What an index keeps on disk: the database and its files."""
