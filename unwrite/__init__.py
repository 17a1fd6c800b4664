"""The command line and the settings: thin calls into the rooms, heavy imports inside the commands."""
