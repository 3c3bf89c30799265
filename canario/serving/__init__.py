"""One server process of one version: the REST and gRPC faces over one kernel."""
