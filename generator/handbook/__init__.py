"""The world that the Fraud Detection Handbook simulates: customers and terminals on a map, and three kinds of fraud."""
