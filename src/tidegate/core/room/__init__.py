"""Whether the nodes have room for all that a release holds at once, before anything is written. Pure."""
