"""The nouns of canario: frozen dataclasses of the standard library only; what happens to them is for the floors above."""
