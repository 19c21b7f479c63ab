"""The lifecycle, one Prefect flow per file."""
