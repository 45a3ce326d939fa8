"""Columns that others determine by arithmetic: left out of what is learnt, and computed again after drawing."""
