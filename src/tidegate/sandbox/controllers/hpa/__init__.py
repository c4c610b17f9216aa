"""Kubernetes' HorizontalPodAutoscaler: how many pods a Deployment should have, and why."""
