"""What is done with an index as a whole."""
