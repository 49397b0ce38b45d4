"""Questions answered from what is known here."""
