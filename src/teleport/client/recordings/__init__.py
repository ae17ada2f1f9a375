"""Session recordings as people see them: screens, playback, and files for other players."""
