"""What sottovoce is measured by: one folder a question; see README.md."""
