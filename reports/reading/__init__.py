"""Reads runs back, from run folders or through MLflow.

runs.py   finds runs and reads each into a record
"""
