"""Accounts, sessions, keys and the audit log."""
