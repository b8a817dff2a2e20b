"""Where indexes are kept: one module a backend, all behind `cbmir.services.backends.base.Backend`."""
