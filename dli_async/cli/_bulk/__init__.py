"""Commands about many exports: bulk, its plans and summaries, and runs."""
