"""Retrievers: user vectors and activity vectors, and the kernel that turns them into lists."""
