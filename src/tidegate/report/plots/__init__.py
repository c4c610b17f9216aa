"""The page's plots: one module each, over one way to draw."""
