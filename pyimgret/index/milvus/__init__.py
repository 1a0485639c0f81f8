"""An index in Milvus."""

from pyimgret.index.milvus.collection import MilvusIndex

__all__ = ["MilvusIndex"]
