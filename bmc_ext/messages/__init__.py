"""DCPI messages: parse, validate, render."""
