"""The lake: every score and every label, in Delta tables, to ask by SQL and to train on."""
