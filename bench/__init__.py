"""What is measured: against peers (`compare.py`), against ourselves (`tradeoff.py`), and at size (`extract.py`)."""
