"""What is kept between runs: the record, the pins, the history of sizes, and the memory of what is up to date."""
