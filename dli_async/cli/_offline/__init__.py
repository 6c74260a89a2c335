"""Commands that need no account: demo, emulator."""
