"""The file system: walking folders, keys of file names, atomic writing."""
