"""Learning which precision each layer gets: mixed layers, importances, the size budget."""
