"""Where versions run: one room a platform, each keeping the promises of canario.ports."""
