"""Distributed recommender of e-commerce activities on Spark."""
