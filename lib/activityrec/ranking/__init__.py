"""Rankers: the probability that a user answers an activity."""
