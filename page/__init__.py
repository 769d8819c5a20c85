"""The analyst's page: alerts as cases, verdicts, and what everyone did, in a process of its own."""
