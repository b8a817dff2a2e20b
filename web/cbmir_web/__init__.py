"""The web: pages for people, a REST API for programs. It enqueues work and reads the database, no more."""
