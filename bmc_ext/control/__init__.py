"""The one path that every command takes."""
