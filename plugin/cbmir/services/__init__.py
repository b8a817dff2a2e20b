"""The use cases, one plain function each: what the command line and the workers call; a folder for each stage.

- `conversion`: a file to pictures, the same way for the gallery and for queries; in processes of its own.
- `ingestion`: files to pictures and rows; what was ingested or set aside once, read again.
- `archives`: archives that are followed: what they hold, we hold; what they delete, is deleted here.
- `features`: extracted of all pictures, by one worker or by several; out and in as JSON.
- `encoders`: shipped, added and made in 8 bits; which of all encoders answers, and what is kept of the others.
- `training`: an encoder trained on the stored pictures.
- `retrieval`: which images look like this one, how sure that is, and why; the indexes; what can be browsed.
- `evaluation`: how well an encoder retrieves, what else may explain it, and the paper's experiment.
- `reporting`: answers as documents for the archive, and as teaching files.

Who may import whom among them is a contract in `pyproject.toml`.
"""
