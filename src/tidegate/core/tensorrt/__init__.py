"""What is decided about a TensorRT plan before and after it is built. Pure; no TensorRT is imported."""
