"""Every option of a run: recipes and post-training settings."""
