"""How a defaulter's positions are closed out over days: on arrays, without markets, accounts or programmes."""
