"""The verdict as files and as text: for a terminal, a pull request, a code scanning service, a program."""
