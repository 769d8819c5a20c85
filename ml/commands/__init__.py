"""The commands of `python -m ml`, a file each for what belongs together."""
