"""`make refresh-prices`: the clouds' own price lists -> a diff of the catalog, to be reviewed."""
