"""A Kubernetes cluster as a platform: one resource a model, and a controller that runs the rollout loop."""
