"""TensorRT: its bindings, the GPU, the build of a plan by either builder, and the plans of earlier builds."""
