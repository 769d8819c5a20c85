"""What programs that run others have in common: the demo, the benchmark and the torture."""
