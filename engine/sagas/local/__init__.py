"""Sagas in a process of their own: it calls the callables, and one thread of it writes what became of them."""
