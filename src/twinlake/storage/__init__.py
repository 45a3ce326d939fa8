"""Where things are kept: the vault, staging, the lake, DVC."""
