"""What a person reads after a release: the page with its plots, its Markdown twin, and the notification."""
