"""The schema registry: which schema an id stands for, and how values of it become the contract's JSON."""
