"""Where models are kept, found, promoted and read."""
