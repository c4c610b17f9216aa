"""Frameworks that are asked and export in a process of their own, each a program run by `python -m`."""
