"""Find images that look like this one.

Networks are built and trained from Python on Deeplearning4j; embeddings are compared by
cosine similarity. Importing this package starts nothing: the Java virtual machine comes up
with the first call that needs it.
"""

from __future__ import annotations

__version__ = "0.1.0"
