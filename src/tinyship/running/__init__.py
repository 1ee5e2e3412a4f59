"""How work goes on side by side and ends early: graphs, threads, commands, cancellation."""
