"""Reading the user's project, before anything is compiled."""
