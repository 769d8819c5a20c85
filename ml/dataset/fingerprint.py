"""What names the data of a training: where it was, and the digest of its files."""

import hashlib

from ml.dataset.history import History


def sha256(history: History) -> str:
    """Of a history's files, in their order: 64 hexadecimal digits. What the files are called does not count."""
    whole = hashlib.sha256()
    for file in history.files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()
