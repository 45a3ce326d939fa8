"""Twinlake: synthetic twins of database tables, checked, versioned, served as SQL."""
