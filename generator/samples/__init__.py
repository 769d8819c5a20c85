"""Small files in the shapes of public data sets, made by `python -m generator.samples.make`: no public data is in them."""
