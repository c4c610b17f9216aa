"""One step per module, one plain typed function each; adapters are imported inside the function.

Beside them stands what several steps share: driving traffic, ending, stopping, waiting for a turn.
Reading every signature (for --help, KFP, Argo) must not load MLflow, Kubernetes or ONNX.
"""
