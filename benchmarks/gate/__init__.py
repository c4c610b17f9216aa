"""How often the gate errs on releases whose truth is known, beside what others would have said."""
