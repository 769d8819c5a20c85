"""What the page answers, one module a part of it."""
