"""The one loop every method trains with, its losses, and checkpoints that resume exactly."""
