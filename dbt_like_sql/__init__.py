"""The SQL models, one file each; data to `assets.warehouse`, not code to import."""
