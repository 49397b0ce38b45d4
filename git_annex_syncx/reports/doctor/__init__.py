"""Checks of the doctor: each yields what is wrong, with the command that mends it, and changes nothing."""
