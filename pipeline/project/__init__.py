"""What is read of the user's project, before anything is compiled."""
