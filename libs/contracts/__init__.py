"""What services, sockets and streams say to one another: typed, tolerant to read, only ever added to."""
