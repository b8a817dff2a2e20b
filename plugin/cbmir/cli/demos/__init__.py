"""`cbmir demo` and `cbmir demo-pacs`: the whole of cbmir on patients that nobody is, step by step."""
