"""What the end-to-end tests stand on: the server as a process, HTTP, waiting, and the logs of a failure."""
