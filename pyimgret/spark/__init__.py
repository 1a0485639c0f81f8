"""Training and bulk encoding past one machine, on Apache Spark.

`train` trains a model on a cluster and returns it like any other; `encode` runs a saved
model over pictures or vectors and leaves the embeddings as Parquet, which
`read_embeddings` yields batch by batch and `import_embeddings` puts into an index. All of
them run ``spark-submit`` of the installed pyspark with the right jars; nothing here starts
a JVM in this process before a trained network comes back.
"""

from pyimgret.index.ingest.parquet import read_broken, read_embeddings
from pyimgret.spark.encoding import EncodingReport, encode
from pyimgret.spark.importing import import_embeddings
from pyimgret.spark.inputs import Arrays, Pictures
from pyimgret.spark.submission import SparkOptions
from pyimgret.spark.training import train

__all__ = [
    "Arrays",
    "EncodingReport",
    "Pictures",
    "SparkOptions",
    "encode",
    "import_embeddings",
    "read_broken",
    "read_embeddings",
    "train",
]
