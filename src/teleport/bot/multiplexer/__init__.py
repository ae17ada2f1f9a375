"""The service `ssh-multiplexer`: sockets through which many SSH clients share what the bot holds."""
