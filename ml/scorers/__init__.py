"""What scores: fitted detectors as plain arrays, without the libraries that fitted them."""
