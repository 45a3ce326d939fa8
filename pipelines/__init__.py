"""WHAT and WHEN: one YAML file is one pipeline; the Python beside them hands the files to Dagster."""
