"""Real releases on the embedded cluster, over and over: how often the gate errs on a real machine."""
