"""How well an encoder retrieves images of patients that it was not trained on."""
