"""Figures of models, embeddings and matches.

Every function returns a `matplotlib.figure.Figure` that is not registered with
pyplot: ``figure.savefig("matches.png")`` saves it, a notebook displays it.
"""

from pyimgret.visualization.charts import plot_confusion_matrix, plot_embedding, plot_history
from pyimgret.visualization.images import plot_matches, plot_reconstructions, plot_weights
from pyimgret.visualization.noise import plot_noise

__all__ = [
    "plot_confusion_matrix",
    "plot_embedding",
    "plot_history",
    "plot_matches",
    "plot_noise",
    "plot_reconstructions",
    "plot_weights",
]
