"""States: each column's values as an alphabet of small integers, learnt so that no rare value can come back."""
