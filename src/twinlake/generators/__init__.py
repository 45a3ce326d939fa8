"""Algorithms that learn real tables and draw synthetic ones."""
