"""What a person reads: the scorecard, plots, one page."""
