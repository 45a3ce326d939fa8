"""How much a snapshot gives away. One file per attack."""
