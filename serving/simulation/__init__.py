"""The loop driven by known labels: what labels cost, and how good they are, in several ways of working."""
