"""What a backend of Triton will serve, opened here as that backend opens it, so that parity can ask it."""
