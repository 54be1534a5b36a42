"""What lies on disk: the protocol of results/. Layout (`paths`), records, locks, attempts, progress, atomic writes.

Nothing outside this room joins a name of the layout, takes a lock or renames a file (tests/store/test_one_room.py).
"""
