"""KServe's router of an InferenceGraph (cmd/router/main.go), a Go image, as a program of this machine."""
