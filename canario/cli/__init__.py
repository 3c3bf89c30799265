"""The `canario` command, one file a command; the only floor that chooses adapters."""
