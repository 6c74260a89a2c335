"""Waiting for ends: the shared watch of a client, and polling one job through a status source."""
