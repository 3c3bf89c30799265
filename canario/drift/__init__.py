"""Detectors of drift, pure: one a file."""
