"""When and where things run: the night, Dagster definitions, schedules, the command line."""
