"""The page of a study: verdicts, figures, tables and provenance, built from what is on disk.

`pipeline.request` is the plain description that the planner fills; `build` turns it into a folder.
"""
