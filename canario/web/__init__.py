"""What a browser shows: the form of a model and the pages beside it; answering requests is for serving."""
