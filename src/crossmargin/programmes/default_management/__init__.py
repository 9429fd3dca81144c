"""Default management: how a defaulter's positions at all houses are closed out, jointly or by each house."""
