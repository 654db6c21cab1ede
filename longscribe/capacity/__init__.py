"""What so many hours of recording a day need."""
