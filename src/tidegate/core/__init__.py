"""Pure decisions: values in, values out; no I/O, clock, random, logging or SDK (import-linter checks)."""
