"""Floor 2: certificates to identities and back; keys of authorities behind a signer process."""
