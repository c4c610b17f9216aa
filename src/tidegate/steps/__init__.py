"""One step per module, one plain typed function each; adapters are imported inside the function.

Beside them stands what several steps share: driving traffic, sending load, asking for readings, ending,
stopping, waiting for a turn. Reading every signature (for --help, KFP, Argo) must load neither MLflow,
Kubernetes, ONNX nor scipy.
"""
