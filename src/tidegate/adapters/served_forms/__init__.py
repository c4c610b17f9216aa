"""What a backend of Triton or KServe's own server will serve, opened as that opens it: parity can ask it."""
