"""Where published model repositories lie: folders, claims and buckets, all through obstore."""
