"""How good answers turned out to be: figures with intervals from labelled answers, and when there are enough of them; pure."""
