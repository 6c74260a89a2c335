"""What every command shares: options, output, failures, signals, progress."""
