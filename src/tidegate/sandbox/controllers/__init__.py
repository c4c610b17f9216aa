"""The emulated KServe and Knative controllers: pure rules, and reconcilers that carry them out."""
