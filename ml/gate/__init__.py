"""What a model has to pass before it judges: checks against the champion, each a line with its figures."""
