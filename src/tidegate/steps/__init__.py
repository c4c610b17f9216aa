"""One step per module, one plain typed function each; adapters are imported inside the function.

Reading every signature (for --help, KFP, Argo) must not load MLflow, Kubernetes or ONNX.
"""
