"""File system utilities: walking folders, keys of file names, atomic writing."""
