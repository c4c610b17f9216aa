"""tidegate releases a registered MLflow model to KServe and Triton behind evidence."""

__version__ = "0.1.0"
