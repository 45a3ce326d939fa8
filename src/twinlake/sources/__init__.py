"""Where real tables come from: PostgreSQL, DuckDB files, folders of Parquet or CSV.

A source tells its schema from its own catalog and streams its rows as Arrow; `registry.open_source` opens one by URL.
"""
