"""How margins of a programme, and what it saves, move with the market."""
