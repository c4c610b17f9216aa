"""Tests of the emulated Kubernetes API."""
