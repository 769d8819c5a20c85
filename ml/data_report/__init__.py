"""What a history holds, as one page for a person: distributions, missing values, rhythm, fraud by field, correlations."""
