"""Where real tables come from."""
