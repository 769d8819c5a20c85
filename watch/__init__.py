"""The loop: a process that retrains, tries, promotes and rolls back by a policy, each step by the command a person has."""
