"""The arithmetic of the samplers, by kind: each module holds generators that ask for guesses and return the result."""
