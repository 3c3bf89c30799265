"""Envoy's configuration, generated from a RouterPlan; the same text for both platforms."""
