"""The Kubernetes objects of deploy/, as data; `make generate` writes them as YAML.

They live in namespace `tidegate` here; an overlay's `namespace:` moves them, and the subjects of their
bindings with them.
"""
