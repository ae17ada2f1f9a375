"""Floor 5: the user's side: what tsh and tbot share."""
