"""SPAN risk parameter files: readers that fill ``crossmargin.models.span.parameters``, and their writers."""
