"""What watches the releases: monitors, recording and alert rules, dashboards; each to be picked alone."""
