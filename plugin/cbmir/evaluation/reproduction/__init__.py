"""The paper's tables and figures, with its numbers and ours side by side: what is shown, and how."""
