"""A model server and its rollouts for scikit-learn models; this file names the release, the rooms hold the rest."""

__version__ = "0.1.0"
