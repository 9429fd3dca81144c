"""Full revaluation: what every instrument gains or loses in every scenario."""
