"""The page a person reads after a release."""
