"""HOW a pipeline becomes a graph of assets: each body loads, calls one stage of `twinlake.run`, and says what it made.

No algorithm and no decision lives here, and no value passes between assets: rows stay in the vault and in the lake,
the graph knows only their names.
"""
