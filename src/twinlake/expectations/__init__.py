"""What must be true of tables: Great Expectations suites as data, and what runs them."""
