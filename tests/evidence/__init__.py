"""The evidence half against real servers: load test, Prometheus, gates, report."""
