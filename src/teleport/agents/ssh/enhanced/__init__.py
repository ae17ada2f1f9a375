"""Enhanced recording: what the programs of a session do - commands, files, connections - as the kernel sees it."""
