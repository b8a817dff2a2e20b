"""Where indexes are kept: one module a backend, all behind `base.Backend`."""
