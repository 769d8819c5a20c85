"""The peers are scripts for environments of their own; what collects tests shall not import them."""

collect_ignore_glob = ["*.py"]
