"""Coupons: pools of codes of which each is given away once."""
