"""How good answers turned out to be: figures with intervals from labelled answers, and when there are enough of them; pure."""

from canario.quality.measures import differs, measure, scores_of_tally, tally_of

__all__ = ["differs", "measure", "scores_of_tally", "tally_of"]
