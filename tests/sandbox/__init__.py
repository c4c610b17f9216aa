"""A package, so that its conftest and modules have names of their own."""
