"""Tests of the emulated KServe and Knative controllers."""
