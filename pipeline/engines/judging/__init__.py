"""How is a judge asked? An endpoint or a policy, and replies that are never asked for again."""
