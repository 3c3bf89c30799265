"""Retraining: whether one may begin, whether its candidate is better, and the act itself; starting rollouts is for platforms."""
