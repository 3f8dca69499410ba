"""Tables of papers, one TOML file each."""
