"""Does this code compute what the authors' own code computes? Ports of networks and kits of reference cases."""
