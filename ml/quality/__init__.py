"""Live quality: what labels that come late and in part say of the judgements so far, with how much is still unknown."""
