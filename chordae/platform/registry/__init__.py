"""Which training ran, which versions of the weights there are, and which of them should be served.

The only package that imports MLflow. What it records lies in an SQLite file below the data directory, or on the server
that `MLFLOW_TRACKING_URI` names; the weights themselves lie below the data directory in either case.
"""
