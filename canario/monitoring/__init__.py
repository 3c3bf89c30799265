"""Prometheus' rules, Alertmanager's routes and Grafana's dashboards, made from one table; running them is for platforms."""
