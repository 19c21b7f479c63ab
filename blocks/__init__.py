"""Configuration that people save in Prefect; a block's only method is connect(), which gives an adapter."""
