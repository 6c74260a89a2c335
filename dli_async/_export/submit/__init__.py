"""Submitted exactly once: post, and when in doubt look before posting again."""
