"""The seams between the engine and the world: Protocols of at most four methods; who implements them is chosen in the CLI."""
