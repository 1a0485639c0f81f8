"""Training and bulk encoding on Apache Spark.

`train` trains a model on a cluster and returns it like any other; `encode` runs a saved
model over images or vectors and writes the embeddings as Parquet, which
`read_embeddings` yields batch by batch and `import_embeddings` adds to an index. All of
them run the ``spark-submit`` of the installed pyspark with the required jars. No JVM is
started in this process until a trained network is loaded.
"""

from pyimgret.index.ingest.parquet import read_embeddings, read_failures
from pyimgret.spark.encoding import EncodingReport, encode, import_embeddings
from pyimgret.spark.inputs import Arrays, Images
from pyimgret.spark.submission import SparkOptions
from pyimgret.spark.training import train

__all__ = [
    "Arrays",
    "EncodingReport",
    "Images",
    "SparkOptions",
    "encode",
    "import_embeddings",
    "read_embeddings",
    "read_failures",
    "train",
]
