"""From a fitted estimator to a version, a Bento and one file that travels."""
