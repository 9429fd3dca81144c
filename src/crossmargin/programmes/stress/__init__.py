"""Stress losses over the margins of a programme, and the default resources that pay them."""
