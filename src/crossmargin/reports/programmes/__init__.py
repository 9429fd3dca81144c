"""Reports of cross-margining programmes: in a terminal, on one page, as files. They show; they compute no margin."""
