"""A study that never took place: known truth, and the deliveries that sites would have made of it."""
