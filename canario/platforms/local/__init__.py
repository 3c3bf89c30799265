"""One machine as a platform: server processes, Envoy, and a supervisor that runs the rollout loop."""
