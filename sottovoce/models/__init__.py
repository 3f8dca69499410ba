"""A checkpoint and its family: which modules are layers, and how the model is run."""
