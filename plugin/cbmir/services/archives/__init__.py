"""The use cases of following archives: what they hold, we hold; what they delete, is deleted here."""
