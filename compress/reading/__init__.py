"""Reading files that nobody vouches for: sizes are checked before anything is allocated, and what a
library parses that trusts its input runs in a process with limits."""
