"""What else may explain an evaluation's figures: the patient, copies, the source, the border; and the unseen."""
