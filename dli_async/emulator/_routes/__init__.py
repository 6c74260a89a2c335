"""The handlers of all calls: jobs, metadata, IAM, and the emulator's own."""
