"""The default generator: a bag of small trees per column, each given the columns before it."""
