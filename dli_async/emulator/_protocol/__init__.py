"""What DLI and IAM say and expect on the wire: calls, answers, specs, callers and signatures."""
