"""Figures of what a model learned and an index finds.

Every function returns a `matplotlib.figure.Figure` that belongs to the caller and to no
window: ``figure.savefig("matches.png")`` writes it, a notebook shows it.
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
