"""What is kept, and how it is found again: SQLAlchemy on SQLite or PostgreSQL, one module an aggregate."""
