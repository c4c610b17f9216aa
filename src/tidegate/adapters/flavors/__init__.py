"""A model version by flavor: its own answers to golden inputs, and the form in which it is served."""
