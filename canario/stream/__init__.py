"""Messages answered as they come, urgent ones first: a worker takes them from a broker and asks the model's router."""
