"""What an actor may do: Cedar policies that an auditor can read, asked by facts."""
