"""What imports cannot say about the house, in small pure rules; each is shown catching a planted breach."""
