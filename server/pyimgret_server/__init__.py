"""The HTTP service of pyimgret."""
