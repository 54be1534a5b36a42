"""What will it cost: GPU-hours, memory and their intervals, before anything runs.

Formulas and where they come from: docs/cost.md. Nothing here imports more than Python itself: a plan asks for it.
"""
