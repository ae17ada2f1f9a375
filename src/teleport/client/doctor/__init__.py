"""doctor: what is wrong between here and a cluster, why, and what to do. One check a file; none changes anything."""
