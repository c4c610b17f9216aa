"""The embedded cluster: real servers where they can be real, emulated Kubernetes where they cannot.

Nothing under steps, adapters or core may import this package; they see a kubeconfig and URLs.
"""
