"""Plain image files in, and the shelf on which every 2D picture is kept."""
