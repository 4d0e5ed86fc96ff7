"""From a file in a landing folder to checked facts, with every line accounted for."""
