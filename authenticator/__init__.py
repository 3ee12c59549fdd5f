"""Who you are: the ways to sign in, and what a sign-in says about a person."""
