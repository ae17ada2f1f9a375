"""Recording on a node: sealed and written here, sent to the Auth Service from here."""
