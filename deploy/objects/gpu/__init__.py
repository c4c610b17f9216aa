"""What a cluster needs to serve on GPUs: how they are split, shared, watched, and scaled by.

Pieces for NVIDIA's GPU Operator and for its parts alone. None of it has run on a GPU; `docs/gpu.md` says
what of it is checked, and how.
"""
