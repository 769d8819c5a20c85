"""The peers are scripts for environments of their own; pytest must not import them."""

collect_ignore_glob = ["*.py"]
