"""KEDA: ScaledObjects whose triggers are asked of the sandbox's Prometheus."""
