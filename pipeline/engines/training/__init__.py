"""What SFT and RL share: arguments, order, log, several processes."""
