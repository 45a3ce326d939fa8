"""The stages as plain functions, one verb a file. Used by `assets/` and by the command line, so both do the same.

`real` → `holdout split` → `model` → `synthetic` → `checks` → `release` → `catalog`
"""
