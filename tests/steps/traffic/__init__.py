"""deploy, promote, roll-back, guard and sweep over the emulated cluster."""
