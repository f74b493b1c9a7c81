"""The run folder in MLflow: uploaded while it trains or later, each value once, and downloaded again.

A run folder can be written for TensorBoard, too.

client.py       speaks to MLflow: its address, the client, the experiment, its errors
entities.py     turns a run folder into params, tags and metrics
upload.py       uploads a run folder, and remembers what was sent
background.py   uploads run folders from a background thread
download.py     lists runs, and downloads them as run folders
models.py       logs an exported generator as a model
tensorboard.py  writes what TensorBoard shows of a run
"""
