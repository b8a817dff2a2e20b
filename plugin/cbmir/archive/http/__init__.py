"""What every archive over HTTP needs: sessions, credentials, TLS, bounded answers, files that arrive whole."""
