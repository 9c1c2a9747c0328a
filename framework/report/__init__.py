"""Run records to tables, plots and a self-contained page."""
