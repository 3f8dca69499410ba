"""One readable file for each method, top to bottom: from a checkpoint and speech to a result."""
