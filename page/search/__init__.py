"""Search over every transaction: those of the live feed that the page keeps, and those of the lake."""
