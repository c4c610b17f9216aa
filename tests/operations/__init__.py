"""The verbs that people use, over the emulated cluster."""
