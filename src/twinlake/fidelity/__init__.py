"""How alike a snapshot and the real tables are. One file per family of measures."""
