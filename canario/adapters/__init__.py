"""The small ones that touch the world for everybody: files read and written safely, documents, the clock."""
