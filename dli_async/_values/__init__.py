"""What is said: specs, reports, results, errors, events and policies, as plain values.

Nothing here does I/O or knows how an exchange works; every other room speaks in these words.
"""
