"""The emulated Kubernetes API: one table of kinds, one store, one set of verbs for all of them."""
