"""What is answered where: one router a file."""
